import type { Refusal } from './journal.ts'
import { type Draft, type RefusalCount, refusals, refused } from './record.ts'

/** As many refusals in a second have a record each; one more record counts the rest. */
const RECORDED_A_SECOND = 100
const SECOND_MS = 1_000

/** The kinds of refusals that one record tells apart; what is beyond them is only part of its sum. */
const MOST_KINDS = 500

interface RefusalsDeps {
  /** Unix milliseconds. */
  readonly now: () => number
  /** Milliseconds of a clock that never goes back. */
  readonly monotonic: () => number
  /** Takes a record to be written by and by; `false` when it cannot. */
  readonly post: (draft: Draft) => boolean
}

/** Records refusals within bounds: whoever has a key must not be able to fill the disk with them. */
export interface Refusals {
  note(refusal: Refusal): void
  /** Posts the record of what was only counted so far. */
  flush(): void
}

export function createRefusals({ now, monotonic, post }: RefusalsDeps): Refusals {
  let since = Number.NEGATIVE_INFINITY
  let recorded = 0
  let count = 0
  let kinds = new Map<string, RefusalCount>()
  let timer: NodeJS.Timeout | undefined
  return { note, flush }

  function note(refusal: Refusal): void {
    const at = monotonic()
    if (at - since >= SECOND_MS) {
      flush()
      since = at
      recorded = 0
    }
    if (recorded < RECORDED_A_SECOND && post(refused(now(), refusal))) recorded += 1
    else tally(refusal)
  }

  function tally({ environmentId, keyId, format, code }: Refusal): void {
    count += 1
    timer ??= setTimeout(flush, SECOND_MS).unref()
    const kind = `${environmentId} ${keyId} ${format} ${code}`
    const known = kinds.get(kind)
    if (known === undefined && kinds.size >= MOST_KINDS) return
    kinds.set(kind, { environmentId, keyId, format, code, count: (known?.count ?? 0) + 1 })
  }

  // What cannot be posted is counted on: a journal that cannot be written comes back.
  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (count === 0) return
    if (post(refusals(now(), count, [...kinds.values()]))) {
      count = 0
      kinds = new Map()
    } else {
      timer = setTimeout(flush, SECOND_MS).unref()
    }
  }
}
