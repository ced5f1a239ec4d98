import { z } from 'zod'
import { VerifierError } from './verifier-error.ts'

/**
 * An HS256 secret as `jeton signing-keys export` prints it: a JWK (RFC 7517, RFC 7518 §6.4). Whoever holds it can also
 * mint: keep it where secrets are kept.
 */
export interface SecretJwk {
  readonly kty: 'oct'
  readonly kid: string
  readonly alg: 'HS256'
  /** The secret's bytes, base64url. */
  readonly k: string
  /** There for an imported key: the one format that it signs. */
  readonly fmt?: string | undefined
}

/** What a verifier needs. With neither `url` nor `jwksUrl` it knows the `secrets` alone, and never asks anybody. */
export interface VerifierOptions {
  /** The one environment whose tokens are let in, `env_…`. */
  readonly environmentId: string
  /** Where Jeton is reached. The public keys and, with a `secretKey`, the revocations are fetched from there. */
  readonly url?: string | undefined
  /** The JWKS, when it is elsewhere. */
  readonly jwksUrl?: string | undefined
  /** The feed of revocations, when it is elsewhere. */
  readonly feedUrl?: string | undefined
  /** A secret key of the environment that may verify (`uses: ["verify"]`). Without it, revocations are not known. */
  readonly secretKey?: string | undefined
  /** What verifies tokens that are signed with HS256, as user and channels tokens are unless told otherwise. */
  readonly secrets?: readonly SecretJwk[] | undefined
  /**
   * How old what Jeton last said may be, in seconds: for so long it goes on without the network, and a token that was
   * revoked meanwhile is let in. 10 to 2,592,000; 300 unless said otherwise.
   */
  readonly offlineSeconds?: number | undefined
  /** Told of what goes wrong in the background, once for each outage. */
  readonly onError?: ((error: VerifierError) => void) | undefined
  /** Instead of Node's own `fetch`, for a proxy or a test. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** Instead of `Date.now`: unix milliseconds. */
  readonly now?: (() => number) | undefined
  /** Instead of `performance.now`: milliseconds that never go back. */
  readonly monotonic?: (() => number) | undefined
}

const LONGEST_OFFLINE_SECONDS = 2_592_000

/** As many bytes as the hash puts out (RFC 7518 §3.2). */
const SHORTEST_SECRET_BYTES = 32

const address = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })

const secretBytes = z.string().transform((text, context) => {
  const bytes = Buffer.from(text, 'base64url')
  // Only the one spelling, so that a text which is no base64url is not taken for some.
  if (bytes.toString('base64url') !== text) context.addIssue('must be base64url, without padding')
  else if (bytes.length >= SHORTEST_SECRET_BYTES) return Uint8Array.from(bytes)
  else context.addIssue(`must be at least ${SHORTEST_SECRET_BYTES} bytes`)
  return z.NEVER
})

const secretJwk = z.object({
  kty: z.literal('oct'),
  kid: z.string().min(1),
  alg: z.literal('HS256'),
  k: secretBytes,
  fmt: z.string().optional(),
})

const schema = z
  .strictObject({
    environmentId: z.string().regex(/^env_\w+$/, 'must be the id of an environment'),
    url: address.optional(),
    jwksUrl: address.optional(),
    feedUrl: address.optional(),
    secretKey: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'must be a secret key')
      .optional(),
    secrets: z.array(secretJwk).default([]),
    offlineSeconds: z.number().min(10).max(LONGEST_OFFLINE_SECONDS).default(300),
  })
  .transform(({ url, jwksUrl, feedUrl, environmentId, secretKey, ...others }, context) => {
    const base = url?.replace(/\/+$/, '')
    const jwks = jwksUrl ?? (base && `${base}/environments/${environmentId}/.well-known/jwks.json`)
    const feed = feedUrl ?? (base && `${base}/v1/revocations`)
    if (secretKey !== undefined && feed === undefined) {
      context.addIssue({ code: 'custom', path: ['url'], message: 'is needed, or feedUrl, for the secretKey' })
    }
    if (feedUrl !== undefined && secretKey === undefined) {
      context.addIssue({ code: 'custom', path: ['secretKey'], message: 'is needed for the feedUrl' })
    }
    if (jwks === undefined && others.secrets.length === 0) {
      context.addIssue({ code: 'custom', path: ['url'], message: 'is needed, or jwksUrl, or secrets' })
    }
    return {
      ...others,
      environmentId,
      jwksUrl: jwks === undefined ? undefined : new URL(jwks),
      feed: feed === undefined || secretKey === undefined ? undefined : { url: new URL(feed), secretKey },
    }
  })

/** The options as they are used. It is written out so that the package's types name no module of Node's. */
interface ReadOptions {
  readonly environmentId: string
  readonly jwksUrl: URL | undefined
  readonly feed: { readonly url: URL; readonly secretKey: string } | undefined
  readonly secrets: readonly {
    readonly kid: string
    readonly k: Uint8Array<ArrayBuffer>
    readonly fmt?: string | undefined
  }[]
  readonly offlineSeconds: number
  readonly onError: (error: VerifierError) => void
  readonly fetch: typeof globalThis.fetch
  readonly now: () => number
  readonly monotonic: () => number
}

/**
 * Checks the options, and fills in what was left out.
 *
 * @throws VerifierError `options_invalid`, which names every option that is at fault and quotes none
 */
export function readOptions({ onError, fetch, now, monotonic, ...values }: VerifierOptions): ReadOptions {
  const parsed = schema.safeParse(values)
  if (!parsed.success) {
    const faults = parsed.error.issues.map(
      ({ path, message }) => `${path.join('.') || 'options'}: ${message}`,
    )
    throw new VerifierError('options_invalid', faults.join('; '))
  }
  return {
    ...parsed.data,
    onError: onError ?? (() => undefined),
    fetch: fetch ?? globalThis.fetch,
    now: now ?? Date.now,
    monotonic: monotonic ?? (() => performance.now()),
  }
}
