import { z } from 'zod'
import { VerifierError } from './verifier-error.ts'

/** An HS256 secret. Whoever holds it can also mint: keep it where secrets are kept. */
export interface SharedSecret {
  /** The bytes of it, or their base64url: that is what `jeton signing-keys export` prints for an environment's own key. */
  readonly secret: string | Uint8Array
  /** For an imported key: the one format that it signs. Without it, tokens of every format are taken. */
  readonly format?: string | undefined
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
  /** The HS256 secrets by their `kid`, for user and channels tokens. */
  readonly secrets?: Readonly<Record<string, SharedSecret>> | undefined
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

const secretBytes = z
  .union([z.string(), z.instanceof(Uint8Array)], 'must be base64url or bytes')
  .transform((secret, context) => {
    const bytes = typeof secret === 'string' ? decode(secret) : secret
    // A copy of its own, which nobody changes.
    if (bytes !== undefined) return Uint8Array.from(bytes)
    context.addIssue('must be base64url, without padding')
    return z.NEVER
  })
  .refine(({ length }) => length >= SHORTEST_SECRET_BYTES, `must be at least ${SHORTEST_SECRET_BYTES} bytes`)

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
    secrets: z
      .record(z.string().min(1), z.strictObject({ secret: secretBytes, format: z.string().optional() }))
      .default({}),
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
    if (jwks === undefined && Object.keys(others.secrets).length === 0) {
      context.addIssue({ code: 'custom', path: ['url'], message: 'is needed, or jwksUrl, or secrets' })
    }
    return {
      ...others,
      environmentId,
      jwksUrl: jwks === undefined ? undefined : new URL(jwks),
      feed: feed === undefined || secretKey === undefined ? undefined : { url: new URL(feed), secretKey },
    }
  })

/**
 * Checks the options, and fills in what was left out.
 *
 * @throws VerifierError `options_invalid`, which names every option that is at fault and quotes none
 */
export function readOptions({ onError, fetch, now, monotonic, ...values }: VerifierOptions) {
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

// Only the one spelling, so that a text which is no base64url is not taken for some.
function decode(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}
