import type { Count, Decision, Limiter, Sharing } from './limiter.ts'
import { TRIAL } from './redis.ts'
import { reasonOf } from './redis-faults.ts'

/** How often this process looks whether Redis counts. */
const LOOK_EVERY_MS = 500

/** As much of a logger as is needed here. */
export interface SharedLimiterLog {
  info(message: string): void
  warn(fields: object, message: string): void
}

/** A limiter that several processes share, and that is each one's own while they cannot. */
export interface SharedLimiter extends Limiter, Sharing {
  close(): void
}

interface SharedLimiterDeps {
  /** Rejects when Redis does not count. */
  readonly redis: Limiter
  readonly local: Limiter
  readonly connection: { renew(): void; close(): void }
  readonly log: SharedLimiterLog
  /** Why Redis did not count at the start, if it did not. */
  readonly failure?: unknown
}

/**
 * Counts in Redis while that counts, and in this process otherwise. After one failure no request waits for Redis again
 * until a look has found that it counts.
 *
 * What this process has counted by itself it remembers, so that a Redis that comes and goes gives nobody more than one
 * that is away.
 */
export function createSharedLimiter({
  redis,
  local,
  connection,
  log,
  failure,
}: SharedLimiterDeps): SharedLimiter {
  let state: ReturnType<Sharing['state']> = 'shared'
  let fallbacks = 0
  let looking = false
  const timer = setInterval(look, LOOK_EVERY_MS)
  timer.unref()
  if (failure !== undefined) stopSharing(failure)

  return {
    take,
    state: () => state,
    fallbacks: () => fallbacks,
    close() {
      clearInterval(timer)
      connection.close()
    },
  }

  async function take(counts: readonly Count[]): Promise<Decision> {
    if (state === 'local') return await local.take(counts)
    const before = fallbacks
    try {
      return await redis.take(counts)
    } catch (error) {
      // What was sent before an earlier failure says nothing about the connection of now.
      if (fallbacks === before) stopSharing(error)
      return await local.take(counts)
    }
  }

  async function look(): Promise<void> {
    if (looking) return
    looking = true
    try {
      await redis.take(TRIAL)
      startSharing()
    } catch (error) {
      stopSharing(error)
    } finally {
      looking = false
    }
  }

  function startSharing(): void {
    if (state === 'shared') return
    state = 'shared'
    log.info('limits are counted in Redis again')
  }

  function stopSharing(error: unknown): void {
    connection.renew()
    if (state === 'local') return
    state = 'local'
    fallbacks += 1
    log.warn({ reason: reasonOf(error) }, 'Redis does not count; this process counts limits by itself')
  }
}
