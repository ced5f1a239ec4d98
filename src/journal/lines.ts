import { open } from 'node:fs/promises'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { ChainFile } from './folder.ts'
import { LONGEST_LINE_BYTES } from './record.ts'

/** Read, or unpacked, at once, in bytes. */
const BLOCK_BYTES = 1_048_576

export const NEWLINE = 0x0a

/** A line of a file. */
export interface FileLine {
  /** Without its end. */
  readonly bytes: Buffer
  /** Where the next one begins, in bytes from the beginning of the unpacked file. */
  readonly until: number
  /** Whether it has an end: the last one of a file may not. */
  readonly isWhole: boolean
}

/** Reads a file line by line, packed or not. */
export async function* readLines(file: Pick<ChainFile, 'path' | 'packed'>): AsyncGenerator<FileLine> {
  let until = 0
  for await (const block of readBlocks(file)) {
    let from = 0
    while (from < block.length) {
      const end = block.indexOf(NEWLINE, from)
      const isWhole = end !== -1
      const next = isWhole ? end + 1 : block.length
      until += next - from
      yield { bytes: block.subarray(from, isWhole ? end : next), until, isWhole }
      from = next
    }
  }
}

/**
 * Reads a file in blocks that end where a line ends, except for a last line that has no end, and for one that is longer
 * than any line.
 */
export async function* readBlocks({
  path,
  packed,
}: Pick<ChainFile, 'path' | 'packed'>): AsyncGenerator<Buffer> {
  let begun: Buffer[] = []
  let begunBytes = 0
  for await (const read of await openFile(path, packed)) {
    const chunk = Buffer.from(read)
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end > 0) {
      yield Buffer.concat([...begun, chunk.subarray(0, end)])
      begun = []
      begunBytes = 0
    }
    begun.push(chunk.subarray(end))
    begunBytes += chunk.length - end
    if (begunBytes > LONGEST_LINE_BYTES) {
      yield Buffer.concat(begun)
      begun = []
      begunBytes = 0
    }
  }
  if (begunBytes > 0) yield Buffer.concat(begun)
}

async function openFile(path: string, packed: boolean): Promise<Readable> {
  try {
    const file = (await open(path)).createReadStream({ highWaterMark: BLOCK_BYTES })
    if (!packed) return file
    // The reader sees a failure of either, as the end of what it reads from.
    return pipeline(file, createGunzip({ chunkSize: BLOCK_BYTES }), () => undefined)
  } catch (error) {
    // It may have been packed since it was found.
    if (packed || !(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return await openFile(`${path}.gz`, true)
  }
}
