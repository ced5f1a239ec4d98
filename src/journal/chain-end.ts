import { open } from 'node:fs/promises'
import { type ChainFile, listFiles } from './folder.ts'
import type { Head } from './journal.ts'
import { NEWLINE, readLines } from './lines.ts'
import { type Counted, GENESIS, readRecord, sha256 } from './record.ts'

/** Where a chain ends that an earlier process wrote. */
export interface ChainEnd {
  readonly head: Head
  /** The file with the last whole record; `undefined` when there is none. */
  readonly counted: Counted | undefined
  /** What stands behind the last whole record, in the chain's last file; `undefined` when nothing does. */
  readonly torn: Counted | undefined
  /** Files that may not be on the disk yet, though they can be read. */
  readonly unsynced: readonly string[]
}

/** Read at once from the end of a file, in bytes; more only when no whole record is in it. */
const TAIL_BYTES = 65_536

/** Looks for the last whole record of the chain in a folder, from its end. */
export async function findEnd(instanceFolder: string): Promise<ChainEnd> {
  const files = await listFiles(instanceFolder)
  const unsynced: string[] = []
  let torn: Counted | undefined
  for (const file of files.toReversed()) {
    unsynced.push(file.path)
    const end = file.packed ? await readToTheEnd(file) : await readTail(file.path)
    const { name } = file
    if (torn === undefined && end.size > end.bytes) torn = { file: name, bytes: end.size - end.bytes }
    if (end.head !== undefined) {
      return { head: end.head, counted: { file: name, bytes: end.bytes }, torn, unsynced }
    }
  }
  return { head: GENESIS, counted: undefined, torn, unsynced }
}

interface FileEnd {
  /** `undefined` when no whole record is in the file. */
  readonly head: Head | undefined
  /** Up to the end of the last whole record. */
  readonly bytes: number
  readonly size: number
}

async function readTail(path: string): Promise<FileEnd> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    for (let window = TAIL_BYTES; ; window *= 8) {
      const from = Math.max(0, size - window)
      const tail = Buffer.alloc(size - from)
      await handle.read(tail, 0, tail.length, from)
      const end = lastRecordIn(tail)
      if (end !== undefined) return { head: end.head, bytes: from + end.until, size }
      if (from === 0) return { head: undefined, bytes: 0, size }
    }
  } finally {
    await handle.close()
  }
}

// A line that is cut at the beginning is no record, so that a window may begin anywhere. Nor is one of zeros, as a loss
// of power leaves.
function lastRecordIn(tail: Buffer): { head: Head; until: number } | undefined {
  let until = tail.lastIndexOf(NEWLINE) + 1
  while (until > 0) {
    const from = until < 2 ? 0 : tail.lastIndexOf(NEWLINE, until - 2) + 1
    const line = tail.subarray(from, until - 1)
    const record = readRecord(line.toString())
    if (record !== undefined) return { head: { sha256: sha256(line), n: record.n }, until }
    until = from
  }
  return undefined
}

async function readToTheEnd(file: ChainFile): Promise<FileEnd> {
  let head: Head | undefined
  let bytes = 0
  let size = 0
  let last: Buffer | undefined
  for await (const line of readLines(file)) {
    size = line.until
    if (!line.isWhole) continue
    last = Buffer.from(line.bytes)
    bytes = line.until
  }
  const record = last && readRecord(last.toString())
  if (last !== undefined && record !== undefined) head = { sha256: sha256(last), n: record.n }
  return head === undefined ? { head, bytes: 0, size } : { head, bytes, size }
}
