import type { Seams } from '../seams.ts'
import type { Store, UsageBatch } from '../store/store.ts'

export type { MinuteCount } from '../store/store.ts'

/** How often what was counted is written. */
const WRITE_EVERY_MS = 3_000

const MINUTE_MS = 60_000

/** Where counts come from: each batch goes on where the one before ended. */
export interface UsageSource {
  /** What is to be written next; the same again until its end is told. `undefined` when there is nothing. */
  next(): Promise<UsageBatch | undefined>
  /** How far the database has counted the chain that `next` was about. */
  settle(counted: number): void
  /** How much is not written yet: records of a journal, or counts. */
  waiting(): number
}

/** How the writing of usage stands. */
export interface UsageStanding {
  readonly waiting: number
  /** When it was last known that nothing waits any more, in unix milliseconds. */
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
  /** Writes what is left, unless that is very much. */
  close(): Promise<void>
}

interface UsageLog {
  info(message: string): void
  error(fields: object, message: string): void
}

interface UsageDeps {
  readonly store: Pick<Store, 'usage'>
  readonly source: UsageSource
  /** What is done now and then beside the writing, with what writes a source. */
  readonly upkeep?: ((write: (source: UsageSource) => Promise<void>) => Promise<void>) | undefined
  readonly seams: Pick<Seams, 'now' | 'monotonic'>
  readonly log: UsageLog
}

export function createUsage({ store, source, upkeep, seams, log }: UsageDeps): Usage {
  const { now, monotonic } = seams
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let isCaughtUp = false
  let isFailing = false
  let isEnding = false
  let keptUpAt = Number.NEGATIVE_INFINITY
  let writtenAt: number | undefined
  return {
    start() {
      void work(true)
      timer = setInterval(() => void work(true), WRITE_EVERY_MS).unref()
    },
    flush,
    async catchUp() {
      if (isCaughtUp) await flush()
    },
    standing: () => ({ waiting: source.waiting(), writtenAt }),
    async close() {
      clearInterval(timer)
      isEnding = true
      await running
      // What a journal has beyond that is counted when its chain goes on.
      if (isCaughtUp) await work(false)
    },
  }

  // What came since the one under way began is written as well.
  async function flush(): Promise<void> {
    await running
    await work(false)
  }

  function work(withUpkeep: boolean): Promise<void> {
    running ??= writeAll(withUpkeep).finally(() => {
      running = undefined
    })
    return running
  }

  async function writeAll(withUpkeep: boolean): Promise<void> {
    try {
      await write(source)
      isCaughtUp = true
      writtenAt = now()
      if (upkeep !== undefined && withUpkeep && monotonic() - keptUpAt >= MINUTE_MS) {
        keptUpAt = monotonic()
        await upkeep(write)
      }
      if (isFailing) log.info('usage can be counted again')
      isFailing = false
    } catch (err) {
      isCaughtUp = false
      if (!isFailing) log.error({ err }, 'usage cannot be counted')
      isFailing = true
    }
  }

  async function write(from: UsageSource): Promise<void> {
    for (;;) {
      const batch = await from.next()
      if (batch === undefined) return
      from.settle(await store.usage.add(batch))
      // A process that ends writes what is new of its own, and leaves what would take long.
      if (isEnding && (from !== source || !isCaughtUp)) return
    }
  }
}
