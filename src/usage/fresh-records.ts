import type { WrittenBatch } from '../journal/journal.ts'
import { createTally, type Digest, MOST_KINDS, type Tally } from './tally.ts'

const MINUTE_MS = 60_000

/**
 * Records of a chain that were counted while they were in memory, all of those behind some record: they need not be read
 * back. Whatever is let go of is in the files.
 */
export interface FreshRecords {
  /** Counts records that are safe now. Those before are let go of unless these follow them. */
  add(batch: WrittenBatch): void
  /** Behind which record of this chain they begin; `undefined` when there are none of it. */
  beginIn(instance: string): number | undefined
  /**
   * Gives them all away if they begin right behind this record of this chain, with the number of the last one. If they
   * begin before it, some were counted by somebody else, and all are let go of.
   */
  take(instance: string, after: number): FreshCounts | undefined
}

/** What was counted, and up to and with which record. */
export interface FreshCounts {
  readonly tally: Tally
  readonly upTo: number
}

/** All that counts of a chain's records behind `after`, up to and with `upTo`. */
interface Run extends FreshCounts {
  readonly instance: string
  readonly after: number
}

export function createFreshRecords(digest: Digest): FreshRecords {
  let run: Run | undefined
  return {
    add({ instance, after, upTo, records }) {
      const follows = run?.instance === instance && run.upTo === after
      const { after: begin, tally } = follows && run ? run : { after, tally: createTally(digest) }
      // Until all of them are counted: half of them is not to be had.
      run = undefined
      for (const { at, counts } of records) {
        const minute = Math.floor(at / MINUTE_MS)
        for (const one of counts) tally.note(one, minute)
      }
      // More are a database that is away, or thousands of keys at once.
      if (tally.size() <= MOST_KINDS) run = { instance, after: begin, upTo, tally }
    },
    beginIn: (instance) => (run?.instance === instance ? run.after : undefined),
    take(instance, after) {
      if (run?.instance !== instance || run.after > after) return undefined
      const found = run
      run = undefined
      return found.after === after ? found : undefined
    },
  }
}
