import type { TakeHold } from '../journal/claim.ts'
import type { Journal, WrittenBatch } from '../journal/journal.ts'
import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import { createChainUsage } from './chain-usage.ts'
import { createFreshRecords } from './fresh-records.ts'
import { createLiveUsage, LIVE_PREFIX } from './live-usage.ts'
import { createOtherChains } from './other-chains.ts'
import { createPace } from './pace.ts'
import { MINUTES_KEPT_DAYS } from './span.ts'
import { digestWith } from './tally.ts'
import { createUsage, type Usage } from './usage.ts'

interface OpenUsageDeps {
  /** Opens the journal, which tells of each batch that is safe if it has files. */
  readonly openJournal: (onBatch: (batch: WrittenBatch) => void) => Promise<Journal>
  /** Where the journal's files lie; `undefined` when it has none. */
  readonly folder: string | undefined
  /** How long counts of hours are kept. */
  readonly keepDays: number
  readonly takeHold: TakeHold
  readonly store: Pick<Store, 'usage'>
  /** Names subjects in the sketches: the same in every process of an installation. */
  readonly secret: Uint8Array
  readonly seams: Seams
  readonly log: {
    info(message: string): void
    warn(fields: object, message: string): void
    error(fields: object, message: string): void
  }
}

const MINUTE_MS = 60_000
const DAY_MINUTES = 1_440

/** As many small removals in a minute: more than a day's counts come in a day. */
const REMOVALS_A_MINUTE = 20

/** Opens a journal, and the counting of what goes through the one that is given back. */
export async function openUsage(
  deps: OpenUsageDeps,
): Promise<{ readonly usage: Usage; readonly journal: Journal }> {
  const { openJournal, folder, takeHold, store, secret, seams, log } = deps
  const { now } = seams
  const digest = digestWith(secret)
  const fresh = createFreshRecords(digest)
  const journal = await openJournal(fresh.add)
  if (folder === undefined) {
    const source = createLiveUsage({ digest, seams, log })
    const usage = createUsage({ store, source, upkeep: forgetOld, seams, log })
    return { usage, journal: source.count(journal) }
  }
  const standing = () => {
    const found = journal.standing()
    return found && { instance: found.instance, upTo: found.head.n, isHeld: found.isHeld }
  }
  const pace = createPace(seams)
  const source = createChainUsage({ folder, standing, fresh, store, digest, pace, now })
  const own = () => standing()?.instance
  const countOthers = createOtherChains({ folder, own, takeHold, store, digest, pace, now })
  const usage = createUsage({
    store,
    source,
    async upkeep(write) {
      await countOthers(write)
      await forgetOld()
    },
    hurry: pace.hurry,
    seams,
    log,
  })
  return { usage, journal }

  async function forgetOld(): Promise<void> {
    const minute = Math.floor(now() / MINUTE_MS)
    const before = {
      minute: minute - MINUTES_KEPT_DAYS * DAY_MINUTES,
      hour: minute - deps.keepDays * DAY_MINUTES,
    }
    for (let removal = 0; removal < REMOVALS_A_MINUTE; removal += 1) {
      if (!(await store.usage.forget(before))) break
    }
    // Of processes that ended: each counts under a name of its own.
    await store.usage.forgetChains({ prefix: LIVE_PREFIX, writtenBefore: before.minute })
  }
}
