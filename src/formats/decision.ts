import { type Check, type GateCode, gateCodes, type Refusal, type Trial } from '../domain/verdict.ts'
import type { Claims } from './format.ts'
import type { Accepted } from './judgement.ts'

/** What is answered about what somebody presented (DESIGN 8). A refusal is an answer too. */
export type Decision = Allowed | Refused

/** Whoever presented this may do what was asked. */
export interface Allowed {
  readonly allowed: true
  /** `null` for a publishable key alone. */
  readonly format: string | null
  readonly environmentId: string
  /** The secret key that minted the token; the publishable key, if it came alone. */
  readonly keyId: string
  /** `null` when the token is for nobody in particular; the realtime server gives the id then. */
  readonly subject: string | null
  /** Unix seconds; `null` for a publishable key alone. */
  readonly expiresAt: number | null
  /** How long a session that begins now may last, when the token says. */
  readonly maxSessionSeconds?: number | undefined
  readonly claims: Claims
  readonly checks: readonly Check[]
}

export interface Refused {
  readonly allowed: false
  readonly code: GateCode
  /** With which a realtime server closes the connection (WIRE 2). */
  readonly closeCode: (typeof gateCodes)[GateCode]
  readonly detail: string
  /** Every rule that was tried, in order: the last one refused. */
  readonly checks: readonly Check[]
}

/** The answer about a token of which everything holds. */
export function admitToken(environmentId: string, accepted: Accepted, { checks }: Trial): Allowed {
  const { format, keyId, subject = null, expiresAt, claims, held } = accepted
  const maxSessionSeconds = format.maxSessionSeconds?.(held)
  return {
    allowed: true,
    format: format.name,
    environmentId,
    keyId,
    subject,
    expiresAt,
    ...(maxSessionSeconds === undefined ? {} : { maxSessionSeconds }),
    claims,
    checks,
  }
}

/** The answer about what a rule refused. */
export function refused({ code, detail }: Refusal, { checks }: Trial): Refused {
  return { allowed: false, code, closeCode: gateCodes[code], detail, checks }
}
