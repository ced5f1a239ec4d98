import { importJWK } from 'jose'
import { z } from 'zod'
import { readJson } from './body.ts'
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

/** Thousands of keys. */
const LARGEST_SET_BYTES = 1_048_576

const jwkSet = z.object({ keys: z.array(z.unknown()) })

// RFC 8037 §2. What else it may hold, such as the private part by mistake, is not imported.
const ed25519Jwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  kid: z.string(),
  alg: z.literal('EdDSA'),
  use: z.literal('sig').optional(),
  fmt: z.string().optional(),
})

// A key of another algorithm is none of those that are looked for, and no fault.
const otherAlgorithm = z.object({ alg: z.string().refine((alg) => alg !== 'EdDSA') })

export function createPublicKeys(deps: PublicKeysDeps): PublicKeys {
  const { url, offlineSeconds, onError, monotonic, signal } = deps
  let maxAgeSeconds: number = MAX_AGE_SECONDS.fallback
  let attemptedAt = Number.NEGATIVE_INFINITY
  let keys: ReadonlyMap<string, VerifyingKey> = new Map()
  let loading: Promise<number> | undefined

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
    const mayAsk = loading !== undefined || monotonic() >= attemptedAt + COOL_DOWN_SECONDS * 1000
    if (!keys.has(kid) && mayAsk) await refresh()
    return keys.get(kid)
  }

  async function refresh(): Promise<void> {
    // Whoever cannot reach Jeton goes on with what is known; the background says so.
    await load().catch(() => undefined)
  }

  // The moment at which it asked. Whoever comes meanwhile waits for the same answer.
  function load(): Promise<number> {
    loading ??= fetchKeys().finally(() => {
      loading = undefined
    })
    return loading
  }

  async function fetchKeys(): Promise<number> {
    const askedAt = monotonic()
    attemptedAt = askedAt
    keys = await within(PATIENCE_SECONDS, signal, request)
    return askedAt
  }

  async function request(until: AbortSignal): Promise<ReadonlyMap<string, VerifyingKey>> {
    const headers = new Headers({ Accept: 'application/json' })
    const response = await deps.fetch(url, { headers, redirect: 'error', signal: until })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`The JWKS answered ${response.status}.`)
    }
    const published = await readSet(await readJson(response, LARGEST_SET_BYTES))
    maxAgeSeconds = maxAgeOf(response.headers)
    return published
  }
}

/** The keys that are fit to verify with: one that is not must not cost the tokens of the others. */
async function readSet(body: unknown): Promise<ReadonlyMap<string, VerifyingKey>> {
  const jwks = jwkSet.parse(body).keys.filter((jwk) => !otherAlgorithm.safeParse(jwk).success)
  const read = (await Promise.all(jwks.map(readKey))).filter((entry) => entry !== undefined)
  // Those that are known already are better than none.
  if (jwks.length > 0 && read.length === 0) throw new Error('No key of the JWKS can be read.')
  return new Map(read)
}

async function readKey(jwk: unknown): Promise<readonly [kid: string, key: VerifyingKey] | undefined> {
  const parsed = ed25519Jwk.safeParse(jwk)
  if (!parsed.success) return undefined
  const { kid, fmt, kty, crv, x } = parsed.data
  // Its bytes may still be no key.
  const key = await importJWK({ kty, crv, x }, 'EdDSA').catch(() => undefined)
  return key === undefined || key instanceof Uint8Array ? undefined : [kid, ed25519Key(key, fmt)]
}

// RFC 9111 §5.2.2.1, §5.1: a cache on the way may have had it for some of the time already.
function maxAgeOf(headers: Headers): number {
  const { fallback, least, most } = MAX_AGE_SECONDS
  const [, stated] = /\bmax-age=(\d+)/.exec(headers.get('cache-control') ?? '') ?? []
  if (stated === undefined) return headers.has('cache-control') ? least : fallback
  const age = Number(headers.get('age') ?? 0) || 0
  return Math.max(least, Math.min(Number(stated) - age, most))
}
