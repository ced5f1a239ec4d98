import type { z } from 'zod'
import { JetonError } from '../domain/errors.ts'
import type { Claims, Format, MintContext } from '../formats/format.ts'
import type { Revocations } from '../gate/revocations.ts'
import { type Issuance, type Journal, journalUnavailable } from '../journal/journal.ts'
import type { Caller, Keyring } from '../keys/keyring.ts'
import type { Decision } from '../limits/limiter.ts'
import type { Seams } from '../seams.ts'
import { type Admission, longestTtlOf, refuseBeyondGrant, ttlWithin } from './admission.ts'

/** The largest token, in bytes: a larger one would not pass in a header or a query. */
export const TOKEN_LIMIT_BYTES = 12_288

/** Bytes of randomness in a `jti`: 128 bits, so that none is ever given twice. */
export const JTI_BYTES = 16

/** Who asks for a token, and from where. */
export interface MintCaller extends Caller {
  readonly address: string
  /** The end user's address, if the backend passed it on. */
  readonly endUserAddress: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string
  /** What the mint found out on its way, for the record of a refusal. */
  readonly asked: { subject?: string | undefined }
}

/** A token that was minted. */
export interface Issued {
  readonly token: string
  readonly claims: Claims
  /** Unix seconds. */
  readonly expiresAt: number
  /** Where the counts stand with this one. */
  readonly limits: Decision
}

/** The one way from a valid request to a signed token; every mint endpoint takes it with another format. */
export interface Mint {
  /**
   * Compares with the grant, limits, mints, records. The record is written before the token is given back.
   *
   * @throws JetonError `beyond_grant` `token_too_large` `journal_unavailable`, or `body_invalid` when the asked lifetime
   *   cannot be
   * @throws LimitError when the subject or the key had too many
   */
  issue<Schema extends z.ZodType>(
    format: Format<Schema>,
    request: z.output<Schema>,
    caller: MintCaller,
  ): Promise<Issued>
}

interface MintDeps {
  readonly keyring: Keyring
  readonly revocations: Pick<Revocations, 'firstFreeSecond'>
  readonly admission: Admission
  readonly journal: Journal
  /** Told the format of each token that leaves. */
  readonly noteIssued: (format: string) => void
  readonly seams: Seams
  /** The issuer's base: without a slash at its end. */
  readonly publicUrl: string
}

export function createMint(deps: MintDeps): Mint {
  const { keyring, revocations, admission, journal, noteIssued, seams, publicUrl } = deps
  return { issue }

  async function issue<Schema extends z.ZodType>(
    format: Format<Schema>,
    request: z.output<Schema>,
    caller: MintCaller,
  ): Promise<Issued> {
    const subject = format.subject(request)
    caller.asked.subject = subject
    const now = issueTime(caller, subject)
    const asked = format.askedTtlSeconds(request, now, longestTtlOf(format, caller))
    refuseBeyondGrant(caller, { ...format.needs(request), format: format.name })
    const ttlSeconds = ttlWithin(asked, format, caller)
    const context = contextOf(caller, subject, now, now + ttlSeconds)
    const own = format.claims(request, context)
    const claims = { ...own, ...commonClaims(format, caller, subject, context) }
    const payload = JSON.stringify(claims)
    const signer = keyring.signer(caller.environment, format)
    if (signer.sizeOf(payload) > TOKEN_LIMIT_BYTES) throw tooLarge(claims)
    // Nothing after this refuses, but for a disk that fails just then.
    if (!journal.isAvailable()) throw journalUnavailable()
    const admitted = admission.admit(caller, subject)
    const limits = admitted instanceof Promise ? await admitted : admitted
    const token = signer.sign(payload)
    await journal.append(
      recordOf(format, caller, claims, { ttlSeconds, policy: format.policy(own), bytes: token.length }),
    )
    noteIssued(format.name)
    return { token, claims, expiresAt: context.expiresAt, limits }
  }

  // A revocation refuses every token of its own second as well, since that is all a token tells of when it was issued.
  // One that comes after it in the same second is dated a second later, which a verifier's leeway carries.
  function issueTime({ key }: Caller, subject: string | undefined): number {
    const now = Math.floor(seams.now() / 1000)
    return Math.max(now, revocations.firstFreeSecond(key.environmentId, subject, key.id))
  }

  function contextOf(
    { environment, ceiling }: Caller,
    subject: string | undefined,
    now: number,
    expiresAt: number,
  ): MintContext {
    const turn = subject === undefined ? undefined : keyring.turn(environment)
    const iceServer =
      turn && subject !== undefined ? () => turn.credentialsFor(subject, expiresAt) : undefined
    return { environmentId: environment.id, now, expiresAt, grant: ceiling.grant, iceServer }
  }

  // What the mint adds to every format's own claims (DESIGN 5). No `nbf`: a verifier whose clock is behind must not
  // refuse a fresh token.
  function commonClaims(
    format: Format,
    { key, environment }: Caller,
    subject: string | undefined,
    context: MintContext,
  ) {
    return {
      sub: subject ?? key.id,
      iss: `${publicUrl}/environments/${environment.id}`,
      aud: environment.id,
      iat: context.now,
      exp: context.expiresAt,
      jti: Buffer.from(seams.random(JTI_BYTES)).toString('base64url'),
      client_id: key.id,
      fmt: format.name,
    }
  }
}

type CommonClaims = { readonly sub: string; readonly exp: number; readonly jti: string }

function recordOf(
  { name }: Format,
  caller: MintCaller,
  { sub, exp, jti }: CommonClaims,
  minted: Pick<Issuance, 'ttlSeconds' | 'policy' | 'bytes'>,
): Issuance {
  const { key, address, endUserAddress, userAgent, requestId } = caller
  const { environmentId, id: keyId } = key
  const identity = { environmentId, keyId, format: name, subject: sub, jti, expiresAt: exp }
  return { ...identity, ...minted, address, endUserAddress, userAgent, requestId }
}

function tooLarge(claims: Claims): JetonError {
  const sizes = Object.entries(claims).map(([name, value]) => ({
    name,
    bytes: Buffer.byteLength(JSON.stringify(value) ?? ''),
  }))
  const largest = sizes.toSorted((a, b) => b.bytes - a.bytes)[0]
  const message = `The token would be larger than ${TOKEN_LIMIT_BYTES} bytes; its largest claim is ${largest?.name} with ${largest?.bytes} bytes.`
  return new JetonError('token_too_large', message)
}
