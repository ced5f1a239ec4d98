import { createRemoteJWKSet, customFetch } from 'jose'
import { z } from 'zod'
import { within } from './deadline.ts'
import { type Followed, follow } from './follow.ts'
import type { VerifierError } from './verifier-error.ts'
import { ed25519Key, type VerifyingKey } from './verifying-key.ts'

/** The public keys of one environment, as its JWKS has them. */
export interface PublicKeys extends Followed {
  /**
   * The key of this `kid`; `undefined` when there is none. Asks Jeton for one that it does not know, unless it has asked
   * within the last 30 seconds: whoever sends made-up `kid`s causes no more than that.
   *
   * @throws VerifierError `keys_stale`
   */
  find(kid: string): Promise<VerifyingKey | undefined>
  /** Fetches them now; a failure leaves those that are there. */
  refresh(): Promise<void>
}

interface PublicKeysDeps {
  readonly url: URL
  readonly offlineSeconds: number
  readonly fetch: typeof globalThis.fetch
  readonly onError: (error: VerifierError) => void
  readonly monotonic: () => number
  readonly signal: AbortSignal
}

/** How long after an attempt an unknown `kid` causes none, in seconds. */
const COOL_DOWN_SECONDS = 30

/** How long a copy is used whose answer says nothing of that, in seconds; what it says is held within these bounds. */
const MAX_AGE_SECONDS = { fallback: 300, least: 10, most: 3_600 }

/** How long an answer may take, in seconds. */
const PATIENCE_SECONDS = 5

// A key of a kind that this version does not know is none of its keys.
const jwkSet = z.object({
  keys: z.array(z.object({ kid: z.string(), alg: z.string().optional(), fmt: z.string().optional() })),
})

export function createPublicKeys(deps: PublicKeysDeps): PublicKeys {
  const { url, offlineSeconds, onError, monotonic, signal } = deps
  let maxAgeSeconds: number = MAX_AGE_SECONDS.fallback
  let attemptedAt = Number.NEGATIVE_INFINITY
  let keys: ReadonlyMap<string, VerifyingKey> = new Map()
  // How old its copy may be is decided by `follow`, on a clock that cannot be set back.
  const remote = createRemoteJWKSet(url, { cacheMaxAge: Number.POSITIVE_INFINITY, [customFetch]: fetchSet })

  const followed = follow({
    async ask(answered) {
      answered(await load())
      return Math.min(maxAgeSeconds, offlineSeconds / 2)
    },
    offlineSeconds,
    stale: {
      code: 'keys_stale',
      message: `The public keys could not be fetched for more than ${offlineSeconds} s.`,
    },
    unavailable: { code: 'keys_unavailable', message: 'The public keys could not be fetched.' },
    onError,
    monotonic,
    signal,
  })
  return { ...followed, find, refresh }

  async function find(kid: string): Promise<VerifyingKey | undefined> {
    await followed.current()
    const mayAsk = remote.reloading || monotonic() >= attemptedAt + COOL_DOWN_SECONDS * 1000
    if (!keys.has(kid) && mayAsk) await refresh()
    return keys.get(kid)
  }

  async function refresh(): Promise<void> {
    // Whoever cannot reach Jeton goes on with what is known; the background says so.
    await load().catch(() => undefined)
  }

  // The moment at which it asked.
  async function load(): Promise<number> {
    if (!remote.reloading) attemptedAt = monotonic()
    const askedAt = attemptedAt
    await remote.reload()
    const published = jwkSet.parse(remote.jwks()).keys.filter(({ alg }) => alg === 'EdDSA')
    keys = new Map(
      await Promise.all(
        published.map(async ({ kid, fmt }) => {
          return [kid, ed25519Key(await remote({ alg: 'EdDSA', kid }), fmt)] as const
        }),
      ),
    )
    return askedAt
  }

  function fetchSet(address: string, init: RequestInit): Promise<Response> {
    return within(PATIENCE_SECONDS, signal, async (until) => {
      const response = await deps.fetch(address, { ...init, signal: until })
      const body = await response.arrayBuffer()
      if (response.status !== 200) throw new Error(`The JWKS answered ${response.status}.`)
      maxAgeSeconds = maxAgeOf(response.headers)
      return new Response(body)
    })
  }
}

// RFC 9111 §5.2.2.1, §5.1: a cache on the way may have had it for some of the time already.
function maxAgeOf(headers: Headers): number {
  const { fallback, least, most } = MAX_AGE_SECONDS
  const [, stated] = /\bmax-age=(\d+)/.exec(headers.get('cache-control') ?? '') ?? []
  if (stated === undefined) return headers.has('cache-control') ? least : fallback
  const age = Number(headers.get('age') ?? 0) || 0
  return Math.max(least, Math.min(Number(stated) - age, most))
}
