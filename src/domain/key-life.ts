/** The longest time for which a rotated key may live on beside its successor: 7 days. */
export const MOST_GRACE_SECONDS = 604_800

/** The two ends that a key can have, in unix milliseconds. */
export interface KeyEnds {
  readonly expiresAt?: number | undefined
  readonly revokedAt?: number | undefined
}

export type KeyState = 'active' | 'expired' | 'revoked'

/** Where a key is in its life. A moment that is reached is over. */
export function stateOf({ expiresAt, revokedAt }: KeyEnds, now: number): KeyState {
  if (revokedAt !== undefined && revokedAt <= now) return 'revoked'
  return expiresAt !== undefined && expiresAt <= now ? 'expired' : 'active'
}

export function isAlive(key: KeyEnds, now: number): boolean {
  return stateOf(key, now) === 'active'
}

/** The end of a key that is rotated: at once, or after a grace that never pushes an earlier end out. */
export function endOf({ expiresAt }: KeyEnds, now: number, graceSeconds: number): KeyEnds {
  if (graceSeconds === 0) return { revokedAt: now }
  return { expiresAt: Math.min(expiresAt ?? Number.POSITIVE_INFINITY, now + graceSeconds * 1000) }
}

const DAY_MS = 86_400_000
const WEEK_MS = 7 * DAY_MS

/** How near the end of a key is: a day or less, or a week or less. */
export type EndingSoon = 'day' | 'week'

/** Whether a living key ends soon, by itself or because the grace of its rotation does; `undefined` when not. */
export function endingSoon(key: KeyEnds, now: number): EndingSoon | undefined {
  if (key.expiresAt === undefined || !isAlive(key, now)) return undefined
  const leftMs = key.expiresAt - now
  if (leftMs <= DAY_MS) return 'day'
  return leftMs <= WEEK_MS ? 'week' : undefined
}
