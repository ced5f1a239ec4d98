import type { Seams } from '../seams.ts'
import { createApproximateWindow } from './approximate-window.ts'
import { createExactWindow } from './exact-window.ts'
import type { Count, CountState, Decision, Limiter } from './limiter.ts'

/** What asking a window for one more gave. */
export interface Taken {
  readonly allowed: boolean
  /** How many more the limit allows at once. */
  readonly remaining: number
  /** Milliseconds until `remaining` grows; 0 when nothing is counted. */
  readonly resetMs: number
}

/** Counts many ids over one sliding window. `now` never goes back. */
export interface SlidingWindow {
  /** Counts one more for `id`, unless that would be beyond the limit. */
  take(id: string, limit: number, now: number): Taken
  /** Takes back the latest that was counted for `id`, at the same `now`. */
  giveBack(id: string, now: number): void
}

/** Bytes of the secret with which subjects are digested. */
const SECRET_BYTES = 16

/** A limiter of one process. It begins at zero when the process does. */
export function createMemoryLimiter({ monotonic, random }: Pick<Seams, 'monotonic' | 'random'>): Limiter {
  const secret = Buffer.from(random(SECRET_BYTES)).toString('base64url')
  // By policy and length in seconds. How many a window allows is no part of it, so that a changed limit forgets nothing.
  const windows = { subject: new Map<number, SlidingWindow>(), key: new Map<number, SlidingWindow>() }

  return { take }

  function take(counts: readonly Count[]): Decision {
    const now = monotonic()
    const states: CountState[] = []
    for (const count of counts) {
      const taken = windowOf(count).take(count.id, count.limit.count, now)
      states.push(stateOf(count, taken))
      if (!taken.allowed) {
        for (const earlier of counts.slice(0, states.length - 1)) windowOf(earlier).giveBack(earlier.id, now)
        return { allowed: false, states, refusedBy: states.at(-1) }
      }
    }
    return { allowed: true, states, refusedBy: undefined }
  }

  function windowOf({ policy, limit }: Count): SlidingWindow {
    const ofPolicy = windows[policy]
    const known = ofPolicy.get(limit.windowSeconds)
    if (known !== undefined) return known
    const made = createWindow(policy, limit.windowSeconds * 1000)
    ofPolicy.set(limit.windowSeconds, made)
    return made
  }

  function createWindow(policy: Count['policy'], lengthMs: number): SlidingWindow {
    return policy === 'subject' ? createExactWindow(lengthMs, secret) : createApproximateWindow(lengthMs)
  }
}

/** Where a count stands after a window was asked. */
export function stateOf({ policy, limit }: Count, { remaining, resetMs }: Taken): CountState {
  // A microsecond less, so that the fraction's rounding does not turn 60 s into 61.
  return { policy, limit, remaining, resetSeconds: Math.ceil((resetMs - 0.001) / 1000) }
}
