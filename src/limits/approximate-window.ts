import type { SlidingWindow, Taken } from './memory.ts'

/**
 * A sliding window from two fixed ones: what the one before counted weighs as much as the sliding window still
 * covers of it. One number an id, whatever the limit; off by how unevenly the one before was filled.
 */
export function createApproximateWindow(lengthMs: number): SlidingWindow {
  let startedAt = Number.NEGATIVE_INFINITY
  let current = new Map<string, number>()
  let previous = new Map<string, number>()

  return { take, giveBack }

  function take(id: string, limit: number, now: number): Taken {
    advance(now)
    const share = (now - startedAt) / lengthMs
    const before = previous.get(id) ?? 0
    const counted = current.get(id) ?? 0
    const used = before * (1 - share) + counted
    if (used + 1 > limit) {
      return { allowed: false, remaining: 0, resetMs: waitMs(before, counted, share, limit) }
    }
    current.set(id, counted + 1)
    // What rounding leaves of a whole number may be a little less.
    const remaining = Math.max(0, Math.floor(limit - used - 1))
    return { allowed: true, remaining, resetMs: lengthMs * (1 - share) }
  }

  function giveBack(id: string): void {
    current.set(id, (current.get(id) ?? 1) - 1)
  }

  function advance(now: number): void {
    const age = now - startedAt
    if (age < lengthMs) return
    previous = age < 2 * lengthMs ? current : new Map()
    current = new Map()
    startedAt = Number.isFinite(age) ? now - (age % lengthMs) : now
  }

  // How long until the weight of what was counted leaves room for one more.
  function waitMs(before: number, counted: number, share: number, limit: number): number {
    if (counted + 1 <= limit) return lengthMs * (1 - (limit - 1 - counted) / before - share)
    return lengthMs * (1 - share + (1 - (limit - 1) / counted))
  }
}
