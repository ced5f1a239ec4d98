import type { z } from 'zod'
import { JetonError } from '../domain/errors.ts'
import type { Limit } from '../domain/limit.ts'
import type { Claims, Format } from '../formats/format.ts'
import type { Issuance, Journal } from '../journal/journal.ts'
import type { Caller, Keyring } from '../keys/keyring.ts'
import type { CountState, Decision, Limiter } from '../limits/limiter.ts'
import type { Seams } from '../seams.ts'

/** Bytes of randomness in a `jti`: 128 bits, so that none is ever given twice. */
const JTI_BYTES = 16

/** Who asks for a token, and from where. */
export interface MintCaller extends Caller {
  readonly address: string
  /** The end user's address, if the backend passed it on. */
  readonly endUserAddress: string | undefined
  readonly requestId: string
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

/** A refusal by a limit, with where all counts stand. */
export class LimitError extends JetonError {
  readonly limits: Decision

  constructor(message: string, retryAfterSeconds: number, limits: Decision) {
    super('rate_limited', message, { retryAfterSeconds })
    this.limits = limits
  }
}

/** The one way from a valid request to a signed token; every mint endpoint takes it with another format. */
export interface Mint {
  /**
   * Limits, mints, records. The record is written before the token is given back.
   *
   * @throws LimitError when the subject or the key had too many
   * @throws JetonError `body_invalid` when the asked lifetime cannot be
   */
  issue<Schema extends z.ZodType>(
    format: Format<Schema>,
    request: z.output<Schema>,
    caller: MintCaller,
  ): Promise<Issued>
}

interface MintDeps {
  readonly keyring: Keyring
  readonly limiter: Limiter
  readonly limits: { readonly subject: Limit; readonly secretKey: Limit }
  readonly journal: Journal
  readonly seams: Seams
  /** The issuer's base: without a slash at its end. */
  readonly publicUrl: string
}

export function createMint({ keyring, limiter, limits, journal, seams, publicUrl }: MintDeps): Mint {
  return { issue }

  async function issue<Schema extends z.ZodType>(
    format: Format<Schema>,
    request: z.output<Schema>,
    caller: MintCaller,
  ): Promise<Issued> {
    const now = Math.floor(seams.now() / 1000)
    const subject = format.subject(request)
    const ttlSeconds = format.ttlSeconds(request, now)
    const signer = keyring.signer(caller.environment.id, format.algorithm)
    const decision = await admit(subject, caller)
    const expiresAt = now + ttlSeconds
    const jti = Buffer.from(seams.random(JTI_BYTES)).toString('base64url')
    const own = format.claims(request, { environmentId: caller.environment.id, now, expiresAt })
    const claims = { ...own, ...commonClaims(format, subject, caller), iat: now, exp: expiresAt, jti }
    const token = signer.sign(JSON.stringify(claims))
    await journal.append(
      recordOf(format, caller, { subject, jti, ttlSeconds, expiresAt, policy: format.policy(own) }),
    )
    return { token, claims, expiresAt, limits: decision }
  }

  async function admit(subject: string, { key }: Caller): Promise<Decision> {
    const decision = await limiter.take([
      { policy: 'subject', id: `${key.environmentId}:${subject}`, limit: limits.subject },
      { policy: 'key', id: key.id, limit: limits.secretKey },
    ])
    if (decision.refusedBy !== undefined) throw limitReached(decision.refusedBy, decision)
    return decision
  }

  // What the mint adds to every format's own claims (DESIGN 5). No `nbf`: a verifier whose clock is behind must not
  // refuse a fresh token.
  function commonClaims({ name }: Format, sub: string, { key, environment }: Caller): Claims {
    return {
      sub,
      iss: `${publicUrl}/environments/${environment.id}`,
      aud: environment.id,
      client_id: key.id,
      fmt: name,
    }
  }
}

type Minted = Pick<Issuance, 'subject' | 'jti' | 'ttlSeconds' | 'expiresAt' | 'policy'>

function recordOf({ name }: Format, caller: MintCaller, minted: Minted): Issuance {
  const { key, address, endUserAddress, requestId } = caller
  const { environmentId, id: keyId } = key
  return { environmentId, keyId, format: name, ...minted, address, endUserAddress, requestId }
}

function limitReached(state: CountState, decision: Decision): LimitError {
  const { count, windowSeconds } = state.limit
  const whose = state.policy === 'subject' ? 'This subject' : 'This secret key'
  return new LimitError(
    `${whose} had its ${count} tokens within ${windowSeconds} s. The next is possible in ${state.resetSeconds} s.`,
    state.resetSeconds,
    decision,
  )
}
