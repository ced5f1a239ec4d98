import type { WrittenBatch } from '../journal/journal.ts'
import { createTally, type Digest, type Tally } from './tally.ts'

/** More kinds than are written at once. */
const MOST_KINDS = 1_000

const MINUTE_MS = 60_000

/**
 * Records of a chain that were counted as they were written, while they were in memory: all of those behind a place, which
 * are not to be read back for it. What is let go of is in the files.
 */
export interface FreshRecords {
  /** Counts records that are safe now. */
  add(batch: WrittenBatch): void
  /** Behind which record of this chain they begin; `undefined` while there are none of it. */
  beginIn(instance: string): number | undefined
  /** Gives all of them away, with the number of the last one. What is added from now on begins behind that. */
  take(): { readonly tally: Tally; readonly upTo: number }
}

export function createFreshRecords(digest: Digest): FreshRecords {
  let chain: string | undefined
  let begin = 0
  let end = 0
  let tally = createTally(digest)
  return {
    add({ instance, upTo, records }) {
      if (instance !== chain) {
        chain = instance
        end = upTo - records.length
        take()
      }
      for (const { at, counts } of records) {
        const minute = Math.floor(at / MINUTE_MS)
        for (const one of counts) tally.note(one, minute)
      }
      end = upTo
      // A database that is away, or thousands of keys at once.
      if (tally.size() > MOST_KINDS) take()
    },
    beginIn: (instance) => (instance === chain ? begin : undefined),
    take,
  }

  function take() {
    const taken = { tally, upTo: end }
    begin = end
    tally = createTally(digest)
    return taken
  }
}
