import { toBigInt } from './base-n.ts'

const DIGITS = 16

/** Bytes of randomness behind an identifier: enough that cutting to 16 digits leaves no bias worth naming. */
export const IDENTIFIER_RANDOM_BYTES = 16

/**
 * Writes an identifier: prefix, `_`, 16 of `[0-9a-z]` (82 bits).
 *
 * @param prefix `env` environment · `kid` API key · `sig` HS256 signing key · `ins` a journal's instance · `mem` a process that counts usage without one
 *   · `alr` alert
 * @param random IDENTIFIER_RANDOM_BYTES strong random bytes
 */
export function writeIdentifier(
  prefix: 'env' | 'kid' | 'sig' | 'ins' | 'mem' | 'alr',
  random: Uint8Array,
): string {
  const digits = (toBigInt(random) % 36n ** BigInt(DIGITS)).toString(36)
  return `${prefix}_${digits.padStart(DIGITS, '0')}`
}
