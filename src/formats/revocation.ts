import { CLOCK_LEEWAY_SECONDS } from './claim-rules.ts'
import { LONGEST_TOKEN_LIFE_SECONDS } from './formats.ts'

/**
 * From when on no token that was issued in this second or before can be alive, whatever its format and whoever signed it.
 * Unix seconds, both.
 */
export function lastEndOf(issuedAt: number): number {
  return issuedAt + LONGEST_TOKEN_LIFE_SECONDS + CLOCK_LEEWAY_SECONDS
}
