import { randomBytes } from 'node:crypto'

/**
 * What the outside world gives to the program besides requests. Handed in everywhere, so that a test can
 * drive time and repeat chance.
 */
export interface Seams {
  /** The wall clock, in whole milliseconds since 1970. Written into tokens and records. */
  now(): number
  /** A clock that never goes back or jumps, in milliseconds with fractions. Used for intervals. */
  monotonic(): number
  /** Cryptographically strong random bytes. */
  random(byteCount: number): Uint8Array
}

/** The seams of a real process. */
export const systemSeams: Seams = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: (byteCount) => randomBytes(byteCount),
}
