import { digestOfToken } from '../domain/jws.ts'
import type { Refusal, Trial } from '../domain/verdict.ts'
import { channels } from './channels.ts'
import {
  archivedRefusal,
  audienceRefusal,
  formatRefusal,
  grantRefusal,
  heldRefusal,
  isPeerId,
  isRevocable,
  issuerRefusal,
  lifetimeRefusal,
  malformed,
  revokedRefusal,
  signedFormatRefusal,
  timeRefusal,
} from './claim-rules.ts'
import { client } from './client.ts'
import type { Claims, Format } from './format.ts'
import { formats } from './formats.ts'
import type { JudgingKey, LocalSigner, Presented } from './presented.ts'

/** What a judge knows besides the token and its key. Times are unix seconds. */
export interface Circumstances {
  readonly environmentId: string
  readonly archived: boolean
  readonly now: number
  /** Why a token of this environment was revoked, in a sentence; `undefined` when it was not. */
  readonly reasonAgainst: (environmentId: string, token: Identity) => string | undefined
}

/** What a token may be revoked by. */
export interface Identity {
  /** The token's `jti`; the digest of a token that a backend signed without one. */
  readonly jti: string
  /** `undefined` for a token that is for nobody in particular. */
  readonly subject: string | undefined
  readonly keyId: string
  /** `iat`, unix seconds. */
  readonly issuedAt: number
}

/** A token whose signature, times and claims hold: what it says may be believed. */
export interface Accepted extends Identity {
  readonly format: Format
  readonly claims: Claims
  /** The format's own claims, as `Format.permits` takes them. */
  readonly held: unknown
  /** Unix seconds. */
  readonly expiresAt: number
}

/** Tries everything that a signed token says, up to what it lets its holder do: `Format.permits` is that. */
export function tryClaims(
  presented: Presented,
  key: JudgingKey,
  circumstances: Circumstances,
  trial: Trial,
): Accepted | Refusal {
  return key.localSigner === undefined
    ? tryMinted(presented, key, circumstances, trial)
    : trySigned(presented, key.localSigner, circumstances, trial)
}

// What Jeton minted carries all of DESIGN 5's claims.
function tryMinted(
  { header, claims, asClientKey }: Presented,
  key: JudgingKey,
  circumstances: Circumstances,
  trial: Trial,
): Accepted | Refusal {
  const { iss, aud, sub, jti, client_id: keyId, fmt, iat, exp } = claims
  const format = formats.find(({ name }) => name === fmt)
  const refusal =
    trial.hold('type', header.typ === undefined ? malformed('The token has no typ.') : undefined) ??
    trial.hold('issuer', issuerRefusal(iss, circumstances)) ??
    trial.hold('audience', audienceRefusal(aud, circumstances)) ??
    trial.hold('format', formatRefusal(format, fmt, key, asClientKey))
  if (refusal !== undefined) return refusal
  if (
    format === undefined ||
    !isText(sub) ||
    !isText(jti) ||
    !isText(keyId) ||
    !isTime(iat) ||
    !isTime(exp)
  ) {
    return refuse(trial, 'claims', malformed('The token lacks one of sub, jti, client_id, iat and exp.'))
  }
  const times = { issuedAt: iat, expiresAt: exp, longestSeconds: format.lifetime.longestSeconds }
  // Only a client token may be for nobody in particular; elsewhere a subject is one, however it is spelled.
  const subject = format === client && sub === keyId ? undefined : sub
  return tryIdentity({ format, claims, jti, subject, keyId }, times, circumstances, trial)
}

// What a backend signed by itself may leave out what only Jeton knows; what is there must be right (WIRE 2).
function trySigned(
  presented: Presented,
  signer: LocalSigner,
  circumstances: Circumstances,
  trial: Trial,
): Accepted | Refusal {
  const { claims, asClientKey } = presented
  const { iss, aud, sub, jti = digestOfToken(presented), fmt, iat, exp } = claims
  const refusal =
    trial.hold('issuer', iss === undefined ? undefined : issuerRefusal(iss, circumstances)) ??
    trial.hold('audience', aud === undefined ? undefined : audienceRefusal(aud, circumstances)) ??
    trial.hold('format', signedFormatRefusal(fmt, asClientKey))
  if (refusal !== undefined) return refusal
  if (!isPeerId(sub) || !isRevocable(jti) || !isTime(iat) || !isTime(exp)) {
    const detail =
      'The token lacks a sub that can name a peer, iat or exp, or its jti is no text of 1 to 256.'
    return refuse(trial, 'claims', malformed(detail))
  }
  const times = { issuedAt: iat, expiresAt: exp, longestSeconds: signer.longestSeconds }
  const about = { format: channels, claims, jti, subject: sub, keyId: signer.keyId }
  const accepted = tryIdentity(about, times, circumstances, trial)
  if ('code' in accepted) return accepted
  return trial.hold('grant', grantRefusal(accepted, signer)) ?? accepted
}

/** What one token is revoked by. */
export interface Identified {
  readonly jti: string
  /** Unix seconds. */
  readonly expiresAt: number
}

/** What a token that is signed is revoked by, whatever else it says; `undefined` when it names itself by nothing. */
export function identifySigned(presented: Presented, { localSigner }: JudgingKey): Identified | undefined {
  const { jti = localSigner && digestOfToken(presented), exp } = presented.claims
  return isRevocable(jti) && isTime(exp) ? { jti, expiresAt: exp } : undefined
}

type About = Pick<Accepted, 'format' | 'claims' | 'jti' | 'subject' | 'keyId'>

/** From when to when a token is, and how long it may be at most. Unix seconds, and seconds. */
export interface Times {
  readonly issuedAt: number
  readonly expiresAt: number
  readonly longestSeconds: number
}

function tryIdentity(
  about: About,
  times: Times,
  circumstances: Circumstances,
  trial: Trial,
): Accepted | Refusal {
  const { issuedAt, expiresAt } = times
  const held = about.format.held.safeParse(about.claims)
  const { archived, environmentId, reasonAgainst } = circumstances
  return (
    trial.hold('claims', held.success ? undefined : heldRefusal(about.format, held.error)) ??
    trial.hold('time', timeRefusal(times, circumstances)) ??
    trial.hold('lifetime', lifetimeRefusal(times, about.claims.nbf, circumstances)) ??
    trial.hold('revocation', revokedRefusal(reasonAgainst(environmentId, { ...about, issuedAt }))) ??
    trial.hold('environment', archived ? archivedRefusal(environmentId) : undefined) ?? {
      ...about,
      held: held.data,
      issuedAt,
      expiresAt,
    }
  )
}

function refuse(trial: Trial, check: string, refusal: Refusal): Refusal {
  trial.hold(check, refusal)
  return refusal
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

// NumericDate (RFC 7519 §2), in whole seconds, as everything that is judged here is written.
function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
