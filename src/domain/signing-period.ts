/** For how long a copy of the JWKS may be used (RFC 9111 §5.2.2.1), in seconds. */
export const JWKS_MAX_AGE_SECONDS = 300

/** How far the clocks of processes and verifiers may be apart, and what a change takes to be written, in seconds. */
export const LEEWAY_SECONDS = 10

/** When a signing key does what. All times are unix milliseconds; `undefined` is not yet decided. */
export interface SigningPeriod {
  readonly kid: string
  readonly createdAt: number
  readonly signsFrom: number
  readonly signsUntil: number | undefined
  readonly verifiesUntil: number | undefined
}

/** What a signing key goes through, in this order. Only the last one is not in the JWKS. */
export type Phase = 'published' | 'signing' | 'verifying' | 'gone'

/** Where a key stands at `now`. A moment that ends one phase is the first of the next. */
export function phaseAt({ signsFrom, signsUntil, verifiesUntil }: SigningPeriod, now: number): Phase {
  if (verifiesUntil !== undefined && verifiesUntil <= now) return 'gone'
  if (signsUntil !== undefined && signsUntil <= now) return 'verifying'
  return signsFrom <= now ? 'signing' : 'published'
}

/** The one of these keys that signs at `now`: the newest that may. `undefined` when none may. */
export function signingKeyAt<Key extends SigningPeriod>(keys: readonly Key[], now: number): Key | undefined {
  return keys
    .filter((key) => phaseAt(key, now) === 'signing')
    .toSorted(bySignsFrom)
    .at(-1)
}

/** The one of these keys that signed last before the one that signs, and whose tokens are verified at `now`. */
export function previousKeyAt<Key extends SigningPeriod>(
  keys: readonly Key[],
  signing: Key,
  now: number,
): Key | undefined {
  return keys
    .filter((key) => key.kid !== signing.kid && key.createdAt <= signing.createdAt)
    .filter((key) => phaseAt(key, now) === 'verifying')
    .toSorted((a, b) => (a.signsUntil ?? 0) - (b.signsUntil ?? 0))
    .at(-1)
}

interface KindOfKey extends SigningPeriod {
  readonly format: string | undefined
  readonly algorithm: string
}

/** The environment's own keys of one algorithm: not those that were imported for a format. */
export function ownKeys<Key extends KindOfKey>(keys: readonly Key[], algorithm: string): Key[] {
  return keys.filter((key) => key.format === undefined && key.algorithm === algorithm)
}

/** What signs tokens of a format at `now`: a key that was imported for it, else an own one of the algorithm. */
export function signingKeyFor<Key extends KindOfKey>(
  keys: readonly Key[],
  { format, algorithm }: { readonly format: string; readonly algorithm: string },
  now: number,
): Key | undefined {
  const imported = keys.filter((key) => key.format === format)
  return signingKeyAt(imported, now) ?? signingKeyAt(ownKeys(keys, algorithm), now)
}

/** Those of these keys whose tokens are, or are about to be, out there at `now`, in the order in which they were made. */
export function publishedKeysAt<Key extends SigningPeriod>(keys: readonly Key[], now: number): Key[] {
  return keys.filter((key) => phaseAt(key, now) !== 'gone').toSorted(byCreatedAt)
}

/** The first moment after `now` at which one of these keys enters another phase; `Infinity` when none will. */
export function nextPhaseAfter(keys: readonly SigningPeriod[], now: number): number {
  const moments = keys.flatMap(({ signsFrom, signsUntil, verifiesUntil }) => [
    signsFrom,
    signsUntil ?? Number.POSITIVE_INFINITY,
    verifiesUntil ?? Number.POSITIVE_INFINITY,
  ])
  return Math.min(...moments.filter((moment) => moment > now), Number.POSITIVE_INFINITY)
}

// Keys of before there were periods all sign from 0, and keys that were made together from the same moment: the kid
// decides then, so that every process chooses the same.
function bySignsFrom(a: SigningPeriod, b: SigningPeriod): number {
  return a.signsFrom - b.signsFrom || byCreatedAt(a, b)
}

function byCreatedAt(a: SigningPeriod, b: SigningPeriod): number {
  return a.createdAt - b.createdAt || (a.kid < b.kid ? -1 : 1)
}
