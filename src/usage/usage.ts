import { setTimeout as sleep } from 'node:timers/promises'
import type { Seams } from '../seams.ts'
import type { Store, UsageBatch } from '../store/store.ts'

export type { MinuteCount } from '../store/store.ts'

/** How often what was counted is written. */
const WRITE_EVERY_MS = 3_000

/** What a slow database does not lengthen the pause between two batches beyond. */
const LONGEST_PAUSE_MS = 1_000

const MINUTE_MS = 60_000

/** What is to be written, and whether it is all that there is: not when it is the same again, since more may have come. */
export interface NextUsage {
  readonly batch: UsageBatch
  readonly isAll: boolean
}

/** Where counts come from: each batch goes on where the one before ended. */
export interface UsageSource {
  /** Whether what is not written is still there for the next process. */
  readonly isKept: boolean
  /** What is to be written next; the same again until its end is told. `undefined` when there is nothing. */
  next(): Promise<NextUsage | undefined>
  /** How far the database has counted the chain that `next` was about. */
  settle(counted: number): void
  /** How much is not written yet: records of a journal, or counts. */
  waiting(): number
}

/** How the writing of usage stands. */
export interface UsageStanding {
  readonly waiting: number
  /** When all was last written that there was when it was read, in unix milliseconds. */
  readonly writtenAt: number | undefined
}

/** Writes what was issued and refused to the database, by batches every few seconds. */
export interface Usage {
  /** Begins, beside everything else. */
  start(): void
  /** Writes what there is now. It never fails: what cannot be written stays, and the log tells of it once. */
  flush(): Promise<void>
  /** Writes what is new, for a reader who is about to look; one that is far behind is not waited for. */
  catchUp(): Promise<void>
  standing(): UsageStanding
  /** Writes what is left. What is more than one batch and was far behind is counted when its chain goes on. */
  close(): Promise<void>
}

/** Writes what a source has, and says whether nothing is left but what came in the meantime. */
export type WriteSource = (source: UsageSource) => Promise<boolean>

interface UsageLog {
  info(message: string): void
  error(fields: object, message: string): void
}

interface UsageDeps {
  readonly store: Pick<Store, 'usage'>
  readonly source: UsageSource
  /** What is done now and then beside the writing, with what writes a source. */
  readonly upkeep?: ((write: WriteSource) => Promise<void>) | undefined
  /** Called when the process ends: there is nobody left to be considerate of. */
  readonly hurry?: (() => void) | undefined
  readonly seams: Pick<Seams, 'now' | 'monotonic'>
  readonly log: UsageLog
}

export function createUsage({ store, source, upkeep, hurry, seams, log }: UsageDeps): Usage {
  const { now, monotonic } = seams
  const counting = toldOnce(log, 'usage cannot be counted', 'usage can be counted again')
  const keeping = toldOnce(log, 'the upkeep of usage fails', 'the upkeep of usage goes on')
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined
  let upkeeping: Promise<unknown> | undefined
  let isCaughtUp = false
  let isEnding = false
  let keptUpAt = Number.NEGATIVE_INFINITY
  let writtenAt: number | undefined
  return {
    start() {
      void look()
      timer = setInterval(() => void look(), WRITE_EVERY_MS).unref()
    },
    flush,
    async catchUp() {
      if (isCaughtUp) await flush()
    },
    standing: () => ({ waiting: source.waiting(), writtenAt }),
    async close() {
      clearInterval(timer)
      isEnding = true
      hurry?.()
      await upkeeping
      await flush()
    },
  }

  // Behind what is new of this process's own, and not in its way.
  async function look(): Promise<void> {
    await work()
    if (upkeep === undefined || isEnding || monotonic() - keptUpAt < MINUTE_MS) return
    keptUpAt = monotonic()
    upkeeping ??= keeping(() => upkeep(write)).finally(() => {
      upkeeping = undefined
    })
  }

  // What came since the one under way began is written as well.
  async function flush(): Promise<void> {
    await writing
    await work()
  }

  function work(): Promise<void> {
    writing ??= writeOwn().finally(() => {
      writing = undefined
    })
    return writing
  }

  async function writeOwn(): Promise<void> {
    const isAll = await counting(() => write(source))
    isCaughtUp = isAll === true
    if (isCaughtUp) writtenAt = now()
  }

  // While tokens are minted there is always more. What comes in the meantime waits for the next time, or each of a few
  // records would be a transaction of its own.
  async function write(from: UsageSource): Promise<boolean> {
    for (;;) {
      const next = await from.next()
      if (next === undefined) return true
      const { batch, isAll } = next
      const startedAt = monotonic()
      const counted = await store.usage.add(batch)
      from.settle(counted)
      if (isAll && counted === batch.upTo) return true
      // A process that ends writes what is new of its own, and leaves what would take long and waits for the next one.
      if (isEnding && from.isKept && (from !== source || !isCaughtUp)) return false
      // Of a long backlog: tokens have the database for as long as each batch had it.
      if (!isEnding) await sleep(Math.min(monotonic() - startedAt, LONGEST_PAUSE_MS))
    }
  }
}

// Runs what may fail, and tells of a failure once, and once that it is over.
function toldOnce(log: UsageLog, failure: string, recovery: string) {
  let isFailing = false
  return async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      const done = await work()
      if (isFailing) log.info(recovery)
      isFailing = false
      return done
    } catch (err) {
      if (!isFailing) log.error({ err }, failure)
      isFailing = true
      return undefined
    }
  }
}
