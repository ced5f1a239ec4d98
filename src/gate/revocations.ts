import type { Revocation } from '../domain/revocation.ts'
import type { Identity } from '../formats/judgement.ts'
import { createRevokedTokens, type RevokedTokens, revocationReasons } from '../formats/revoked-tokens.ts'
import type { Follower } from '../keys/follower.ts'
import type { Seams } from '../seams.ts'
import type { ChangedRows } from '../store/store.ts'

/** Every revocation whose tokens could still be alive, in memory, as the follower tells of them. */
export interface Revocations {
  /** Why a token of this environment was revoked, in a sentence; `undefined` when it was not. */
  reasonAgainst(environmentId: string, token: Identity): string | undefined
  /**
   * The first second in which a token for this subject, by this secret key, is not refused by a revocation that this
   * process knows of. Unix seconds; 0 when there is none.
   */
  firstFreeSecond(environmentId: string, subject: string | undefined, keyId: string): number
  standing(environmentId: string): FeedStanding
  /** What a verifier that knows of everything up to `version` has to learn. */
  since(environmentId: string, version: number): Feed
  /** Ends at the next revocation of this environment or change to it, or when `signal` is aborted. */
  next(environmentId: string, signal: AbortSignal): Promise<void>
  /** How many revocations there are whose tokens could still be alive. It looks at each of them. */
  countLiving(): number
}

/** What tells whether a reader of the feed is up to date. */
export interface FeedStanding {
  /** Counts up with every revocation of the environment; 0 when none ever came. */
  readonly version: number
  /** Whether the environment is archived, so that nothing of it is let in at all. */
  readonly archived: boolean
}

/** Revocations, for who judges tokens elsewhere. They only ever add to each other; each is over at its `until`. */
export interface Feed extends FeedStanding {
  /** Whether these are all that are alive: the reader was too far behind, or knew of a version that is not ours. */
  readonly snapshot: boolean
  /** Oldest first. */
  readonly revocations: readonly Revocation[]
}

interface RevocationsDeps {
  readonly follower: Follower
  readonly seams: Pick<Seams, 'now'>
}

/** How often what has ended is looked for, at most: each look walks over all of them. */
const FORGET_EVERY_SECONDS = 60

export function createRevocations({ follower, seams }: RevocationsDeps): Revocations {
  const byEnvironment = new Map<string, RevokedTokens>()
  const archived = new Set<string>()
  const waiting = new Map<string, Set<() => void>>()
  let forgotAt = 0

  follower.tell(take)
  return { reasonAgainst, firstFreeSecond, standing, since, next, countLiving }

  function reasonAgainst(environmentId: string, token: Identity): string | undefined {
    const kind = byEnvironment.get(environmentId)?.refusing(token)
    return kind && revocationReasons[kind]
  }

  function firstFreeSecond(environmentId: string, subject: string | undefined, keyId: string): number {
    return byEnvironment.get(environmentId)?.firstFreeSecond(subject, keyId) ?? 0
  }

  function standing(environmentId: string): FeedStanding {
    const version = byEnvironment.get(environmentId)?.version() ?? 0
    return { version, archived: archived.has(environmentId) }
  }

  function since(environmentId: string, known: number): Feed {
    const { version, archived } = standing(environmentId)
    const revoked = byEnvironment.get(environmentId)
    if (revoked === undefined) return { version, snapshot: true, archived, revocations: [] }
    // Another process may have told the reader of what this one does not know yet; what it has can only be added to.
    const { complete, revocations } = revoked.since(known > version ? 0 : known)
    const now = nowSeconds()
    const live = revocations.filter(({ until }) => until > now)
    return { version, snapshot: complete, archived, revocations: live }
  }

  function next(environmentId: string, signal: AbortSignal): Promise<void> {
    const waiters = waiting.get(environmentId) ?? new Set()
    waiting.set(environmentId, waiters)
    return new Promise((resolve) => {
      const end = () => {
        signal.removeEventListener('abort', end)
        waiters.delete(end)
        if (waiters.size === 0) waiting.delete(environmentId)
        resolve()
      }
      waiters.add(end)
      signal.addEventListener('abort', end)
      if (signal.aborted) end()
    })
  }

  function countLiving(): number {
    const now = nowSeconds()
    return byEnvironment.values().reduce((living, revoked) => living + revoked.countLiving(now), 0)
  }

  function take({ anew, revocations = [], environments = [] }: ChangedRows): void {
    if (anew) {
      // Their versions too, or readers of the feed that know of later ones would not be told of what comes next.
      byEnvironment.clear()
      archived.clear()
    }
    for (const revocation of revocations) put(revocation)
    const changed = new Set(revocations.map(({ environmentId }) => environmentId))
    for (const { id, archivedAt } of environments) {
      changed.add(id)
      if (archivedAt === undefined) archived.delete(id)
      else archived.add(id)
    }
    for (const id of changed) for (const end of waiting.get(id) ?? []) end()
    const now = nowSeconds()
    if (revocations.length === 0 || now < forgotAt + FORGET_EVERY_SECONDS) return
    forgotAt = now
    for (const revoked of byEnvironment.values()) revoked.forget(now)
  }

  function put(revocation: Revocation): void {
    const { environmentId } = revocation
    const revoked = byEnvironment.get(environmentId) ?? createRevokedTokens(environmentId)
    byEnvironment.set(environmentId, revoked)
    revoked.put(revocation)
  }

  function nowSeconds(): number {
    return Math.floor(seams.now() / 1000)
  }
}
