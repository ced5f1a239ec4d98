import { type FileHandle, open } from 'node:fs/promises'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { errorCode } from '../domain/error-code.ts'
import type { ChainFile } from './folder.ts'
import { LONGEST_LINE_BYTES } from './record.ts'

/** Read, or unpacked, at once, in bytes. */
const BLOCK_BYTES = 1_048_576

export const NEWLINE = 0x0a

/** A file to be read, packed or not. */
export type Readably = Pick<ChainFile, 'path' | 'packed'>

/** A line of a file. */
export interface FileLine {
  /** Without its end. */
  readonly bytes: Buffer
  /** Where the next one begins, in bytes from the beginning of the unpacked file. */
  readonly until: number
  /** Whether it has an end: the last one of a file may not. */
  readonly isWhole: boolean
}

/**
 * Reads a file line by line.
 *
 * @param from where to begin, in bytes of the unpacked file
 */
export async function* readLines(file: Readably, from = 0): AsyncGenerator<FileLine> {
  let until = from
  for await (const block of readBlocks(file, from)) {
    let begin = 0
    while (begin < block.length) {
      const end = block.indexOf(NEWLINE, begin)
      const isWhole = end !== -1
      const next = isWhole ? end + 1 : block.length
      until += next - begin
      yield { bytes: block.subarray(begin, isWhole ? end : next), until, isWhole }
      begin = next
    }
  }
}

/**
 * Reads a file in blocks that end where a line ends, except for a last line that has no end, and for one that is longer
 * than any line.
 *
 * @param into what a file that is not packed is read into, over and over: a block is valid until the next one is asked
 *   for. Without it every block has memory of its own, which the collector has to take away
 */
export async function* readBlocks(file: Readably, from = 0, into?: Buffer): AsyncGenerator<Buffer> {
  let begun: Buffer[] = []
  let begunBytes = 0
  for await (const chunk of readChunks(file, from, into)) {
    const end = chunk.lastIndexOf(NEWLINE) + 1
    // A line that began in an earlier chunk is a block of its own, so that nothing but that line is copied.
    const begin = end > 0 && begun.length > 0 ? chunk.indexOf(NEWLINE) + 1 : 0
    if (begin > 0) {
      yield Buffer.concat([...begun, chunk.subarray(0, begin)])
      begun = []
      begunBytes = 0
    }
    if (end > begin) yield chunk.subarray(begin, end)
    if (end === chunk.length) continue
    begun.push(into === undefined ? chunk.subarray(end) : Buffer.from(chunk.subarray(end)))
    begunBytes += chunk.length - end
    if (begunBytes <= LONGEST_LINE_BYTES) continue
    yield Buffer.concat(begun)
    begun = []
    begunBytes = 0
  }
  if (begunBytes > 0) yield Buffer.concat(begun)
}

async function* readChunks(
  { path, packed }: Readably,
  from: number,
  into: Buffer | undefined,
): AsyncGenerator<Buffer> {
  const found = await find(path, packed, into)
  // What is packed has no place to begin at but its beginning.
  let skip = found.packed ? from : 0
  const chunks: AsyncIterable<Buffer> = found.stream(found.packed ? 0 : from)
  for await (const chunk of chunks) {
    const skipped = Math.min(skip, chunk.length)
    skip -= skipped
    if (skipped < chunk.length) yield skipped === 0 ? chunk : chunk.subarray(skipped)
  }
}

async function find(path: string, packed: boolean, into: Buffer | undefined) {
  try {
    const handle = await open(path)
    if (into !== undefined && !packed)
      return { packed, stream: (start: number) => readInto(into, handle, start) }
    return { packed, stream: (start: number) => unpacked(handle.createReadStream(options(start)), packed) }
  } catch (error) {
    // It may have been packed since it was found.
    if (packed || errorCode(error) !== 'ENOENT') throw error
    const handle = await open(`${path}.gz`)
    return { packed: true, stream: () => unpacked(handle.createReadStream(options(0)), true) }
  }
}

async function* readInto(into: Buffer, handle: FileHandle, start: number): AsyncGenerator<Buffer> {
  try {
    for (let position = start; ; ) {
      const { bytesRead } = await handle.read(into, 0, into.length, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield into.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

function options(start: number) {
  return { start, highWaterMark: BLOCK_BYTES }
}

function unpacked(file: Readable, packed: boolean): Readable {
  if (!packed) return file
  // The reader sees a failure of either, as the end of what it reads from.
  return pipeline(file, createGunzip({ chunkSize: BLOCK_BYTES }), () => undefined)
}
