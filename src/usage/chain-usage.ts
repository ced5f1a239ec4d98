import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Store, UsageBatch } from '../store/store.ts'
import { createChainReader } from './chain-reader.ts'
import type { FreshRecords } from './fresh-records.ts'
import type { Pace } from './pace.ts'
import type { Digest, Tally } from './tally.ts'
import type { NextUsage, UsageSource } from './usage.ts'

/** Which chain is counted, and the last of its records that is safe: as far as it may be counted. */
export interface ChainStanding {
  readonly instance: string
  readonly upTo: number
  /** Whether this process has the chain, so that nobody else goes on with it. */
  readonly isHeld: boolean
}

interface ChainUsageDeps {
  /** Where all chains lie. */
  readonly folder: string
  /** `undefined` while there is no chain. */
  readonly standing: () => ChainStanding | undefined
  /** What need not be read, of a chain that this process writes. */
  readonly fresh?: FreshRecords | undefined
  readonly store: Pick<Store, 'usage'>
  readonly digest: Digest
  readonly pace: Pace
  /** Unix milliseconds. */
  readonly now: () => number
}

/** What is being counted of a chain. */
interface Counting {
  readonly instance: string
  readonly reader: ReturnType<typeof createChainReader>
  /** How far the database has counted it. */
  counted: number
}

const MINUTE_MS = 60_000

/**
 * Counts the records of a chain behind what the database has counted: from memory those that are there still, if all before
 * them are counted, and else by reading its files. So usage is what the journal says, whatever became of the process, the
 * database or a commit in between, and a database that is away costs little memory.
 */
export function createChainUsage(deps: ChainUsageDeps): UsageSource {
  const { folder, standing, fresh, store, digest, pace, now } = deps
  let counting: Counting | undefined
  let pending: UsageBatch | undefined
  return {
    isKept: true,
    async next() {
      if (pending !== undefined && isOurs(pending)) return { batch: pending, isAll: false }
      const next = await read()
      pending = next?.batch
      return next
    },
    settle(counted) {
      if (counting === undefined || pending === undefined) return
      counting.counted = counted
      if (counted !== pending.upTo) counting.reader.goTo(counted)
      pending = undefined
    },
    waiting() {
      const found = standing()
      const read =
        pending?.after ?? (counting?.instance === found?.instance ? counting?.reader.position() : 0)
      return Math.max(0, (found?.upTo ?? 0) - (read ?? 0))
    },
  }

  // A mark is set back by who holds the chain, and by nobody who has given it up while the database was away.
  function isOurs({ chain, after, upTo }: UsageBatch): boolean {
    const found = standing()
    return upTo > after || (found?.instance === chain && found.isHeld)
  }

  async function read(): Promise<NextUsage | undefined> {
    const instance = standing()?.instance
    if (instance === undefined) return undefined
    if (counting?.instance !== instance) counting = await begin(instance)
    const { reader } = counting
    // As it is now: the database may have taken its time.
    const found = standing()
    if (found?.instance !== instance) return undefined
    if (counting.counted > found.upTo) {
      // Another process goes on with the chain, and counts it.
      if (!found.isHeld) return undefined
      // The folder was put back to an earlier state, and what comes has numbers that were counted once.
      reader.goTo(found.upTo)
      return { batch: batch(counting, found.upTo, { counts: [], sketches: [] }), isAll: true }
    }
    // The same, where what comes has the numbers of records that counted nothing.
    if (reader.position() > found.upTo) reader.goTo(counting.counted)
    for (;;) {
      const tally = takeFresh(counting) ?? (await readOn(counting, found.upTo))
      const isAll = reader.position() >= found.upTo
      if (tally.size() > 0) return { batch: batch(counting, reader.position(), tally.content()), isAll }
      if (isAll) return undefined
      // Whatever comes of it, everybody else goes on.
      await nextTurn()
    }
  }

  function takeFresh({ instance, reader }: Counting): Tally | undefined {
    const found = fresh?.take(instance, reader.position())
    if (found !== undefined) reader.goTo(found.upTo, found.end)
    return found?.tally
  }

  function readOn({ instance, reader }: Counting, upTo: number): Promise<Tally> {
    return reader.read(Math.min(upTo, fresh?.beginIn(instance) ?? upTo))
  }

  async function begin(instance: string): Promise<Counting> {
    const counted = await store.usage.countedUpTo(instance)
    const reader = createChainReader({ folder, instance, digest, pace })
    reader.goTo(counted)
    return { instance, reader, counted }
  }

  function batch(
    { instance, counted }: Counting,
    upTo: number,
    content: Pick<UsageBatch, 'counts' | 'sketches'>,
  ): UsageBatch {
    return { chain: instance, after: counted, upTo, ...content, at: Math.floor(now() / MINUTE_MS) }
  }
}
