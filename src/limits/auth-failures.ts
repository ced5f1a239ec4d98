import type { Limit } from '../domain/limit.ts'
import type { Seams } from '../seams.ts'

/** Networks that are remembered at once; beyond that the oldest is dropped. */
export const MOST_NETWORKS = 65_536

/** Where a network stands after one more failed authentication. */
export interface AuthFailure {
  /** Whether it had its allowance of failures before this one. */
  readonly limited: boolean
  /** Failures of the current window, this one included. */
  readonly failures: number
  /** Whole seconds until the window ends. */
  readonly retryAfterSeconds: number
}

/**
 * Counts failed authentications by network, in fixed windows. Only failures are counted and only failures are
 * refused: a living key is never turned away for what others behind the same address did.
 */
export interface AuthFailures {
  count(network: string): AuthFailure
}

export function createAuthFailures(limit: Limit, { monotonic }: Pick<Seams, 'monotonic'>): AuthFailures {
  const windows = new Map<string, { startedAt: number; failures: number }>()
  const lengthMs = limit.windowSeconds * 1000

  return { count }

  function count(network: string): AuthFailure {
    const now = monotonic()
    const known = windows.get(network)
    const window = known !== undefined && now - known.startedAt < lengthMs ? known : open(network, now)
    window.failures += 1
    return {
      limited: window.failures > limit.count,
      failures: window.failures,
      retryAfterSeconds: Math.ceil((window.startedAt + lengthMs - now) / 1000),
    }
  }

  function open(network: string, now: number) {
    // Deleted first, so that the map's order stays that of the windows' beginnings.
    windows.delete(network)
    const oldest = windows.keys().next()
    if (windows.size >= MOST_NETWORKS && !oldest.done) windows.delete(oldest.value)
    const window = { startedAt: now, failures: 0 }
    windows.set(network, window)
    return window
  }
}
