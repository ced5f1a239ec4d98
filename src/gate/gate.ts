import {
  type Check,
  createTrial,
  type GateCode,
  gateCodes,
  type Refusal,
  type Trial,
} from '../domain/verdict.ts'
import type { Question } from '../formats/ask.ts'
import { archivedRefusal } from '../formats/claim-rules.ts'
import type { Claims } from '../formats/format.ts'
import { type Accepted, tryClaims } from '../formats/judgement.ts'
import { readToken, signatureInvalid, tryKey } from '../formats/presented.ts'
import type { PublishableKey } from '../keys/held-key.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { Seams } from '../seams.ts'
import type { Environment } from '../store/store.ts'
import { accessOf, tryAccess, tryPublishableKey } from './publishable-key.ts'
import type { Revocations } from './revocations.ts'

/** What a client presented to a realtime server, and what it asks for. At least one of the first two. */
export interface Presentation extends Question {
  readonly token: string | undefined
  readonly publishableKey: string | undefined
}

/** Whoever presented this may do what was asked (DESIGN 8). */
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

/** Decides who may come in: the mirror image of the mint (DESIGN 2). */
export interface Gate {
  /** Decides for the environment of the secret key that asks: nothing of another one is ever let in. */
  verify(environment: Environment, presentation: Presentation): Allowed | Refused
  /** Whether a token of this environment is alive, whatever its holder may do with it; `undefined` when it is not. */
  examine(environment: Environment, token: string): Accepted | undefined
}

interface GateDeps {
  readonly keyring: Keyring
  readonly revocations: Revocations
  readonly seams: Pick<Seams, 'now'>
}

export function createGate({ keyring, revocations, seams }: GateDeps): Gate {
  return { verify, examine }

  function verify(environment: Environment, presentation: Presentation): Allowed | Refused {
    const trial = createTrial()
    const { token, publishableKey } = presentation
    const accepted = token === undefined ? undefined : tryToken(environment, token, trial)
    if (accepted !== undefined && 'code' in accepted) return refused(accepted, trial)
    const key = publishableKey === undefined ? undefined : keyring.publishableKey(publishableKey)
    const refusal =
      (publishableKey === undefined
        ? undefined
        : tryPublishableKey(key, environment, presentation, seams.now(), trial)) ??
      (accepted === undefined
        ? tryKeyAlone(environment, key, presentation, trial)
        : accepted.format.permits(accepted.held, presentation, trial))
    if (refusal !== undefined) return refused(refusal, trial)
    return accepted === undefined
      ? admitKey(environment, key, trial)
      : admitToken(environment, accepted, trial)
  }

  function examine(environment: Environment, token: string): Accepted | undefined {
    const accepted = tryToken(environment, token, createTrial())
    return 'code' in accepted ? undefined : accepted
  }

  function tryToken(environment: Environment, text: string, trial: Trial): Accepted | Refusal {
    const presented = readToken(text, trial)
    if ('code' in presented) return presented
    const key = keyring.verifier(environment, presented.header.kid)
    const refusal = tryKey(presented.header, key, trial)
    if (refusal !== undefined || key === undefined) return refusal ?? signatureInvalid
    const isSigned = key.isSignature(presented.signingInput, presented.signature)
    const forged = trial.hold('signature', isSigned ? undefined : signatureInvalid)
    if (forged !== undefined) return forged
    const circumstances = {
      environmentId: environment.id,
      archived: environment.archivedAt !== undefined,
      now: Math.floor(seams.now() / 1000),
      reasonAgainst: revocations.reasonAgainst,
    }
    return tryClaims(presented, key, circumstances, trial)
  }
}

function tryKeyAlone(
  { id, archivedAt }: Environment,
  key: PublishableKey | undefined,
  { ask }: Question,
  trial: Trial,
): Refusal | undefined {
  if (key === undefined) throw new Error('The gate was asked about nothing')
  return (
    trial.hold('environment', archivedAt === undefined ? undefined : archivedRefusal(id)) ??
    tryAccess(key, ask, trial)
  )
}

function admitToken({ id }: Environment, accepted: Accepted, { checks }: Trial): Allowed {
  const { format, keyId, subject = null, expiresAt, claims, held } = accepted
  const maxSessionSeconds = format.maxSessionSeconds?.(held)
  return {
    allowed: true,
    format: format.name,
    environmentId: id,
    keyId,
    subject,
    expiresAt,
    ...(maxSessionSeconds === undefined ? {} : { maxSessionSeconds }),
    claims,
    checks,
  }
}

// What the key carries is told in the words of a channels token, so that a server can judge both alike from here on.
function admitKey({ id }: Environment, key: PublishableKey | undefined, { checks }: Trial): Allowed {
  if (key === undefined) throw new Error('The gate was asked about nothing')
  const { channels, actions: permissions } = accessOf(key)
  return {
    allowed: true,
    format: null,
    environmentId: id,
    keyId: key.id,
    subject: null,
    expiresAt: null,
    claims: { channels, permissions },
    checks,
  }
}

function refused({ code, detail }: Refusal, { checks }: Trial): Refused {
  return { allowed: false, code, closeCode: gateCodes[code], detail, checks }
}
