import { CLOCK_LEEWAY_SECONDS } from './claim-rules.ts'
import { LONGEST_TOKEN_LIFE_SECONDS } from './formats.ts'

/**
 * The second up to which a revocation of now reaches. One that already reaches it has had tokens dated behind it since,
 * and these are to end as well; no further than a verifier's leeway carries what is minted next.
 *
 * @param known the second that a revocation of the same tokens reaches already
 */
export function revokedUpTo(now: number, known: number | undefined): number {
  return Math.max(now, Math.min((known ?? 0) + 1, now + CLOCK_LEEWAY_SECONDS - 1))
}

/**
 * From when on no token that was issued in this second or before can be alive, whatever its format and whoever signed it.
 * Unix seconds, both.
 */
export function lastEndOf(issuedAt: number): number {
  return issuedAt + LONGEST_TOKEN_LIFE_SECONDS + CLOCK_LEEWAY_SECONDS
}
