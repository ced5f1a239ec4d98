import { join } from 'node:path'
import { errorCode } from '../domain/error-code.ts'
import { type ChainFile, listFiles } from '../journal/folder.ts'
import type { FilePlace } from '../journal/journal.ts'
import { NEWLINE, readBlocks, readLines } from '../journal/lines.ts'
import type { Pace } from './pace.ts'
import { createRecordReader } from './read-record.ts'
import { createTally, type Digest, MOST_KINDS, type Tally } from './tally.ts'

/** Read ahead at once, about so many bytes of records. */
const MOST_BYTES = 33_554_432

/** Cut from one way through a file: what is packed has no place to begin at but its beginning. */
const MOST_PIECES = 16

/** What is read from a file at once: more than comes in one turn of a busy event loop. */
const BLOCK_BYTES = 262_144

interface ChainReaderDeps {
  /** Where all chains lie. */
  readonly folder: string
  readonly instance: string
  readonly digest: Digest
  /** Of the reading, which must not be in the way of tokens. */
  readonly pace: Pace
}

/** Counts a chain's records from its files, each once. Its calls must not overlap. */
export interface ChainReader {
  /**
   * Goes on behind this record the next time.
   *
   * @param end where it ends; looked for when left out
   */
  goTo(n: number, end?: FilePlace): void
  /** The last record that was counted for the caller, or passed over. */
  position(): number
  /**
   * Counts on, up to record `upTo` at most: nothing behind that has to be on the disk yet.
   *
   * @throws what the disk throws; what was counted until then comes with the next call
   */
  read(upTo: number): Promise<Tally>
}

/** What was counted at once, up to and with record `last`. */
interface Piece {
  readonly tally: Tally
  readonly last: number
}

/** Where the next record stands. */
type Place = { -readonly [Name in keyof FilePlace]: FilePlace[Name] }

export function createChainReader({ folder, instance, digest, pace }: ChainReaderDeps): ChainReader {
  const readRecord = createRecordReader()
  const into = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  /** Read ahead of what the caller has. */
  let ready: Piece[] = []
  let given = 0
  let last = 0
  let place: Place | undefined
  let tally = createTally(digest)
  return {
    goTo(n, end) {
      ready = []
      given = n
      last = n
      place = end && { ...end }
      tally = createTally(digest)
    },
    position: () => given,
    read,
  }

  async function read(upTo: number): Promise<Tally> {
    if (ready.length === 0 && last < upTo) {
      // Whatever ends it: where it would go on is behind what it has counted.
      await readAhead(upTo).finally(cut)
    }
    const piece = ready.shift()
    given = piece?.last ?? given
    return piece?.tally ?? createTally(digest)
  }

  function cut(): void {
    if (last > (ready.at(-1)?.last ?? given)) ready.push({ tally, last })
    tally = createTally(digest)
  }

  async function readAhead(upTo: number): Promise<void> {
    const files = await listFiles(join(folder, instance))
    place ??= await placeBehind(files, last)
    const budget = { bytes: MOST_BYTES }
    for (const file of files) {
      if (file.seq < place.seq) continue
      if (file.seq > place.seq) place = { seq: file.seq, bytes: 0 }
      // What a file has beyond that was never acknowledged, and these numbers were given once more.
      const next = await firstNumberBehind(files, file)
      const limit = Math.min(upTo, (next ?? Number.POSITIVE_INFINITY) - 1)
      if (!(await readFile(file, place, limit, budget))) return
      if (last >= upTo) return
    }
    // Nothing of what is missing is in any file, and nothing will be.
    last = upTo
    place = undefined
  }

  /** @returns whether there is nothing more to be had of this file */
  async function readFile(
    file: ChainFile,
    from: Place,
    limit: number,
    budget: { bytes: number },
  ): Promise<boolean> {
    try {
      for await (const block of readBlocks(file, from.bytes, into)) {
        pace.resume()
        for (let begin = 0; begin < block.length; ) {
          const end = block.indexOf(NEWLINE, begin)
          if (end === -1) return true
          if (!count(block.toString('utf8', begin, end), limit)) return true
          from.bytes += end + 1 - begin
          budget.bytes -= end + 1 - begin
          begin = end + 1
          if (tally.size() >= MOST_KINDS) cut()
          if (ready.length >= MOST_PIECES || budget.bytes <= 0) return false
          const rest = pace.step()
          if (rest !== undefined) await rest
        }
      }
    } catch (error) {
      // It may have been removed since it was found. So is what was in it.
      if (errorCode(error) !== 'ENOENT') throw error
    }
    return true
  }

  /** @returns whether the line is within the limit */
  function count(line: string, limit: number): boolean {
    const record = readRecord(line)
    if (record === undefined) return true
    if (record.n > limit) return false
    if (record.n <= last) return true
    for (const one of record.counts) tally.note(one, record.minute)
    last = record.n
    return true
  }

  // The last file that begins with the next record or one before it; the first there is when none does.
  async function placeBehind(files: readonly ChainFile[], n: number): Promise<Place> {
    for (const file of files.toReversed()) {
      const first = await firstNumberOf(file)
      if (first !== undefined && first <= n + 1) return { seq: file.seq, bytes: 0 }
    }
    return { seq: files[0]?.seq ?? 0, bytes: 0 }
  }

  async function firstNumberBehind(
    files: readonly ChainFile[],
    { seq }: ChainFile,
  ): Promise<number | undefined> {
    for (const file of files) {
      if (file.seq <= seq) continue
      const first = await firstNumberOf(file)
      if (first !== undefined) return first
    }
    return undefined
  }

  async function firstNumberOf(file: ChainFile): Promise<number | undefined> {
    try {
      for await (const { bytes, isWhole } of readLines(file)) {
        return isWhole ? readRecord(bytes.toString())?.n : undefined
      }
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    return undefined
  }
}
