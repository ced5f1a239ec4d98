import type { Identity } from '../formats/judgement.ts'
import { feedSchema, revocationOf } from '../formats/revocation-feed.ts'
import { createRevokedTokens, revocationReasons } from '../formats/revoked-tokens.ts'
import { readJson } from './body.ts'
import { within } from './deadline.ts'
import { type Followed, follow } from './follow.ts'
import { VerifierError } from './verifier-error.ts'

/** What was revoked in one environment, as its feed tells. */
export interface RevocationFollower extends Followed {
  /** Why a token was revoked, in a sentence; `undefined` when it was not. */
  reasonAgainst(token: Identity): string | undefined
  /** Whether the environment is archived, so that nothing of it is let in. */
  isArchived(): boolean
}

interface RevocationFollowerDeps {
  readonly url: URL
  readonly secretKey: string
  readonly environmentId: string
  readonly offlineSeconds: number
  readonly fetch: typeof globalThis.fetch
  /** Called before anything of the environment, which was archived until now, is let in again. */
  readonly onRestored: () => Promise<void>
  readonly onError: (error: VerifierError) => void
  /** Unix milliseconds. */
  readonly now: () => number
  readonly monotonic: () => number
  readonly signal: AbortSignal
}

/** How long Jeton holds an answer back while there is nothing new, in seconds. */
const LONGEST_WAIT_SECONDS = 25

/** For how long beyond that an answer may fail to come, in seconds. */
const PATIENCE_SECONDS = 10

/** Between two questions, in seconds: whatever answers at once all the time is not asked without a pause. */
const PAUSE_SECONDS = 0.2

/** Some hundreds of thousands of revocations. */
const LARGEST_FEED_BYTES = 33_554_432

const FORGET_EVERY_SECONDS = 60

export function createRevocationFollower(deps: RevocationFollowerDeps): RevocationFollower {
  const { url, secretKey, environmentId, offlineSeconds, onRestored, onError, now, monotonic, signal } = deps
  const waitSeconds = Math.min(LONGEST_WAIT_SECONDS, Math.floor(offlineSeconds / 2))
  const revoked = createRevokedTokens(environmentId)
  let archived = false
  let answeredLast = false
  let forgotAt = monotonic()
  // What the last answer was. Another process may have answered it than the next one, which may know of less.
  let known: { readonly version: number; readonly etag: string | null } | undefined

  const followed = follow({
    ask,
    offlineSeconds,
    stale: {
      code: 'revocations_stale',
      message: `Revocations may be missing: the feed could not be read for more than ${offlineSeconds} s.`,
    },
    unavailable: { code: 'revocations_unavailable', message: 'The feed of revocations could not be read.' },
    onError,
    monotonic,
    signal,
  })
  return { ...followed, reasonAgainst, isArchived: () => archived }

  function reasonAgainst(token: Identity): string | undefined {
    const kind = revoked.refusing(token)
    return kind && revocationReasons[kind]
  }

  async function ask(answered: (at: number) => void): Promise<number> {
    // After an outage, whether anything is missing is to be known now and not when the next one is revoked.
    const wait = answeredLast ? waitSeconds : 0
    answeredLast = false
    const answeredAt = await within(wait + PATIENCE_SECONDS, signal, (until) => request(wait, until))
    answeredLast = true
    answered(answeredAt)
    forget(answeredAt)
    return PAUSE_SECONDS
  }

  // The moment at which what it says was so.
  async function request(wait: number, until: AbortSignal): Promise<number> {
    const address = new URL(url)
    const headers = new Headers({ Authorization: `Bearer ${secretKey}`, Accept: 'application/json' })
    address.searchParams.set('since', String(known?.version ?? 0))
    address.searchParams.set('wait', String(wait))
    if (known?.etag) headers.set('If-None-Match', known.etag)
    // The secret key goes where it was told to go, and nowhere else.
    const response = await deps.fetch(address, { headers, redirect: 'error', signal: until })
    const answeredAt = monotonic()
    if (response.status === 200) {
      await take(await readJson(response, LARGEST_FEED_BYTES), response.headers.get('etag'))
    }
    // What is not read keeps its connection.
    else await response.body?.cancel()
    if (response.status === 200) return answeredAt
    const said = `The feed answered ${response.status}`
    // No news is an answer only to whoever knows something: it was asked without an ETag, and says nothing of what is.
    if (response.status === 304 && known === undefined) throw new Error(`${said} before anything else.`)
    if (response.status === 304) return answeredAt
    if (response.status !== 401 && response.status !== 403) throw new Error(`${said}.`)
    throw new VerifierError('revocations_refused', `${said} to the secret key.`)
  }

  async function take(body: unknown, etag: string | null): Promise<void> {
    const feed = feedSchema.parse(body)
    if (feed.environmentId !== environmentId) {
      throw new VerifierError('revocations_refused', 'The secret key is of another environment.')
    }
    for (const entry of feed.entries) revoked.put(revocationOf(entry, environmentId, feed.version))
    if (archived && feed.archived === undefined) await onRestored()
    archived = feed.archived ?? false
    known = { version: feed.version, etag }
  }

  function forget(at: number): void {
    if (at < forgotAt + FORGET_EVERY_SECONDS * 1000) return
    forgotAt = at
    revoked.forget(Math.floor(now() / 1000))
  }
}
