import type { FilePlace, WrittenBatch } from '../journal/journal.ts'
import { createTally, type Digest, MOST_KINDS, type Tally } from './tally.ts'

const MINUTE_MS = 60_000

/**
 * Records of a chain that were counted while they were in memory, all of those from one to another: they need not be read
 * back. Whatever is not here is in the files.
 */
export interface FreshRecords {
  /**
   * Counts records that are safe now. If they do not follow those before, these are let go of. If there may be more kinds
   * than are written at once, they and all that follow are left to the files until the others are taken.
   */
  add(batch: WrittenBatch): void
  /** Behind which record of this chain they begin; `undefined` when there are none of it. */
  beginIn(instance: string): number | undefined
  /**
   * Gives them all away if they begin right behind this record of this chain. If they begin before it, some were counted
   * by somebody else, and all are let go of.
   */
  take(instance: string, after: number): FreshCounts | undefined
}

/** What was counted, up to and with which record, and where that ends. */
export interface FreshCounts {
  readonly tally: Tally
  readonly upTo: number
  readonly end: FilePlace
}

/** All that counts of a chain's records behind `after`. */
interface Run extends FreshCounts {
  readonly instance: string
  readonly after: number
}

export function createFreshRecords(digest: Digest): FreshRecords {
  let run: Run | undefined
  /** The last record that was told of, whether it is in the run or not. */
  let told = 0
  return {
    add({ instance, after, upTo, end, records }) {
      const before = run?.instance === instance && told === after ? run : undefined
      told = upTo
      // It has no room since an earlier batch.
      if (before !== undefined && before.upTo < after) return
      const { after: begin, tally } = before ?? { after, tally: createTally(digest) }
      run = before
      if (tally.size() + mostKindsOf(records) > MOST_KINDS) return
      // Until all of them are counted: half of them is not to be had.
      run = undefined
      for (const { at, counts } of records) {
        const minute = Math.floor(at / MINUTE_MS)
        for (const one of counts) tally.note(one, minute)
      }
      run = { instance, after: begin, upTo, end, tally }
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

function mostKindsOf(records: WrittenBatch['records']): number {
  return records.reduce((sum, { counts }) => sum + counts.length, 0)
}
