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
  random: createRandom(),
}

/** As much randomness names a token or a key. What is more may be a secret, and shares its memory with nothing. */
const SMALL_BYTES = 16
const BLOCK_BYTES = 4_096

// Asking for 16 bytes takes 5 µs and for 4,096 hardly more, so small amounts are cut from a block, each byte once.
function createRandom(): Seams['random'] {
  let block = new Uint8Array()
  let used = 0
  return (byteCount) => {
    if (byteCount > SMALL_BYTES) return randomBytes(byteCount)
    if (used + byteCount > block.length) {
      block = randomBytes(BLOCK_BYTES)
      used = 0
    }
    used += byteCount
    return block.subarray(used - byteCount, used)
  }
}
