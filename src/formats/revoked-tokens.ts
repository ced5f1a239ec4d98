import type { Revocation, RevocationKind } from '../domain/revocation.ts'
import type { Identity } from './judgement.ts'

/** The revocations of one environment, in the order in which they came. */
export interface RevokedTokens {
  /** Takes a revocation in. Of two for the same tokens, what each of them refuses is refused. */
  put(revocation: Revocation): void
  /** Which revocation refuses this token, if one does. */
  refusing(token: Identity): RevocationKind | undefined
  /**
   * The first second whose tokens no revocation of this subject or secret key refuses: 0 when there is none.
   *
   * @param subject `undefined` for a token that is for nobody in particular
   */
  firstFreeSecond(subject: string | undefined, keyId: string): number
  /** Those that came after a version, oldest first, and whether they are all there are. */
  since(version: number): { readonly complete: boolean; readonly revocations: readonly Revocation[] }
  /** The revision of the newest one that ever came; 0 when none did. */
  version(): number
  /** How many there are whose tokens could be alive. `now` is unix seconds. */
  countLiving(now: number): number
  /** Forgets those whose tokens cannot be alive any more. `now` is unix seconds. */
  forget(now: number): void
}

/** Why a revocation refuses a token, in a sentence. */
export const revocationReasons = {
  jti: 'The token was revoked.',
  subject: 'The tokens of this subject were revoked, up to a moment that is not before this one.',
  key: 'The tokens of the secret key were revoked, up to a moment that is not before this one.',
} as const satisfies Record<RevocationKind, string>

/** One text for all, where each row of a database brings its own. */
const kinds = { jti: 'jti', subject: 'subject', key: 'key' } as const

/** How many that were replaced may lie about, and which part of all: more would be felt in memory. */
const MOST_DEAD = 1_000
const MOST_DEAD_SHARE = 0.2

export function createRevokedTokens(environmentId: string): RevokedTokens {
  const byToken = { jti: new Map(), subject: new Map(), key: new Map() } satisfies Record<
    RevocationKind,
    Map<string, Revocation>
  >
  // In the order of their revisions. One that was replaced stays until the list is made anew.
  let inOrder: Revocation[] = []
  let dead = 0
  let version = 0

  return { put, refusing, firstFreeSecond, since, version: () => version, countLiving, forget }

  function put(revocation: Revocation): void {
    const revocations: Map<string, Revocation> = byToken[revocation.kind]
    const known = revocations.get(revocation.value)
    if (known !== undefined) dead += 1
    const kept = both(known, revocation)
    revocations.set(revocation.value, kept)
    inOrder.push(kept)
    version = Math.max(version, revocation.revision)
    if (dead > MOST_DEAD && dead > inOrder.length * MOST_DEAD_SHARE) compact()
  }

  function refusing({ jti, subject, keyId, issuedAt }: Identity): RevocationKind | undefined {
    if (byToken.jti.has(jti)) return 'jti'
    if (subject !== undefined && reaches(byToken.subject.get(subject), issuedAt)) return 'subject'
    return reaches(byToken.key.get(keyId), issuedAt) ? 'key' : undefined
  }

  function firstFreeSecond(subject: string | undefined, keyId: string): number {
    const ofSubject = subject === undefined ? undefined : byToken.subject.get(subject)
    return Math.max(secondAfter(ofSubject), secondAfter(byToken.key.get(keyId)))
  }

  function since(wanted: number) {
    const first = firstAfter(wanted)
    return { complete: first === 0, revocations: inOrder.slice(first).filter(isCurrent) }
  }

  function countLiving(now: number): number {
    let living = 0
    for (const revocations of Object.values(byToken)) {
      for (const { until } of revocations.values()) if (until > now) living += 1
    }
    return living
  }

  function forget(now: number): void {
    for (const revocations of Object.values(byToken)) {
      for (const [value, { until }] of revocations) if (until <= now) revocations.delete(value)
    }
    compact()
  }

  // A process that is behind may tell a verifier of an older one after a newer one. Objects of one form that share their
  // texts take 25 bytes less for each than what a database hands over, and 50 where the collector came at a bad moment.
  function both(
    known: Revocation | undefined,
    { kind, value, before, until, revision }: Revocation,
  ): Revocation {
    return {
      environmentId,
      kind: kinds[kind],
      value: known?.value ?? value,
      before: known?.before === undefined ? before : Math.max(known.before, before ?? 0),
      until: Math.max(known?.until ?? 0, until),
      revision: Math.max(known?.revision ?? 0, revision),
    }
  }

  function compact(): void {
    inOrder = inOrder.filter(isCurrent)
    dead = 0
  }

  function isCurrent(revocation: Revocation): boolean {
    return byToken[revocation.kind].get(revocation.value) === revocation
  }

  // Halves the list until what is left begins behind the version.
  function firstAfter(wanted: number): number {
    let low = 0
    let high = inOrder.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((inOrder[middle]?.revision ?? 0) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** A revocation refuses every token of its own second as well: seconds are all that tokens tell of when they came. */
function reaches(revocation: Revocation | undefined, issuedAt: number): boolean {
  return revocation?.before !== undefined && issuedAt <= revocation.before
}

function secondAfter(revocation: Revocation | undefined): number {
  return revocation?.before === undefined ? 0 : revocation.before + 1
}
