import { createTrial, type Refusal, type Trial } from '../domain/verdict.ts'
import type { Question } from '../formats/ask.ts'
import { archivedRefusal } from '../formats/claim-rules.ts'
import { type Allowed, admitToken, type Decision, refused } from '../formats/decision.ts'
import { type Accepted, type Identified, identifySigned, tryClaims } from '../formats/judgement.ts'
import {
  type Presented,
  readToken,
  signatureInvalid,
  signingKeyUnknown,
  tryKey,
} from '../formats/presented.ts'
import type { PublishableKey } from '../keys/held-key.ts'
import type { Keyring, TokenVerifier } from '../keys/keyring.ts'
import type { Seams } from '../seams.ts'
import type { Environment } from '../store/store.ts'
import { accessOf, publishableKeyUnknown, tryAccess, tryPublishableKey } from './publishable-key.ts'
import type { Revocations } from './revocations.ts'

/** What a client presented to a realtime server, and what it asks for. At least one of the first two. */
export interface Presentation extends Question {
  readonly token: string | undefined
  readonly publishableKey: string | undefined
}

/** Decides who may come in: the mirror image of the mint (DESIGN 2). */
export interface Gate {
  /** Decides for the environment of the secret key that asks: nothing of another one is ever let in. */
  verify(environment: Environment, presentation: Presentation): Decision
  /** Whether a token of this environment is alive, whatever its holder may do with it; `undefined` when it is not. */
  examine(environment: Environment, token: string): Accepted | undefined
  /**
   * What a token of this environment is revoked by, also where it is refused for now and may be let in later;
   * `undefined` for what no key of the environment signed.
   */
  identify(environment: Environment, token: string): Identified | undefined
}

/** A token that a key of the environment signed, whatever it says. */
interface Signed {
  readonly presented: Presented
  readonly key: TokenVerifier
}

interface GateDeps {
  readonly keyring: Keyring
  readonly revocations: Revocations
  /** Told of each publishable key of the environment that is presented. */
  readonly noteUse: (keyId: string) => void
  readonly seams: Pick<Seams, 'now'>
}

export function createGate({ keyring, revocations, noteUse, seams }: GateDeps): Gate {
  return { verify, examine, identify }

  function verify(environment: Environment, presentation: Presentation): Decision {
    const { token, publishableKey } = presentation
    const trial = createTrial()
    if (token !== undefined) return verifyToken(environment, token, presentation, trial)
    if (publishableKey !== undefined) return verifyKey(environment, publishableKey, presentation, trial)
    throw new Error('The gate was asked about nothing')
  }

  function verifyToken(
    environment: Environment,
    token: string,
    presentation: Presentation,
    trial: Trial,
  ): Decision {
    const accepted = tryToken(environment, token, trial)
    if ('code' in accepted) return refused(accepted, trial)
    const { publishableKey } = presentation
    const refusal =
      (publishableKey === undefined
        ? undefined
        : tryPublishableKey(
            find(environment, publishableKey),
            environment,
            presentation,
            seams.now(),
            trial,
          )) ?? accepted.format.permits(accepted.held, presentation, trial)
    return refusal === undefined ? admitToken(environment.id, accepted, trial) : refused(refusal, trial)
  }

  function verifyKey(
    environment: Environment,
    text: string,
    presentation: Presentation,
    trial: Trial,
  ): Decision {
    const key = find(environment, text)
    const refusal = tryPublishableKey(key, environment, presentation, seams.now(), trial)
    if (refusal !== undefined || key === undefined) return refused(refusal ?? publishableKeyUnknown, trial)
    const { id, archivedAt } = environment
    const beyond =
      trial.hold('environment', archivedAt === undefined ? undefined : archivedRefusal(id)) ??
      tryAccess(key, presentation.ask, trial)
    return beyond === undefined ? admitKey(environment, key, trial) : refused(beyond, trial)
  }

  function find({ id }: Environment, text: string): PublishableKey | undefined {
    const key = keyring.publishableKey(text)
    if (key?.environmentId === id) noteUse(key.id)
    return key
  }

  function examine(environment: Environment, token: string): Accepted | undefined {
    const accepted = tryToken(environment, token, createTrial())
    return 'code' in accepted ? undefined : accepted
  }

  function identify(environment: Environment, token: string): Identified | undefined {
    const signed = trySignature(environment, token, createTrial())
    return 'code' in signed ? undefined : identifySigned(signed.presented, signed.key)
  }

  function tryToken(environment: Environment, text: string, trial: Trial): Accepted | Refusal {
    const signed = trySignature(environment, text, trial)
    if ('code' in signed) return signed
    const circumstances = {
      environmentId: environment.id,
      archived: environment.archivedAt !== undefined,
      now: Math.floor(seams.now() / 1000),
      reasonAgainst: revocations.reasonAgainst,
    }
    return tryClaims(signed.presented, signed.key, circumstances, trial)
  }

  function trySignature(environment: Environment, text: string, trial: Trial): Signed | Refusal {
    const presented = readToken(text, trial)
    if ('code' in presented) return presented
    const key = keyring.verifier(environment, presented.header.kid)
    const refusal = tryKey(presented.header, key, trial)
    if (refusal !== undefined || key === undefined) return refusal ?? signingKeyUnknown
    const isSigned = key.isSignature(presented.signingInput, presented.signature)
    const forged = trial.hold('signature', isSigned ? undefined : signatureInvalid)
    if (forged !== undefined) return forged
    return { presented, key }
  }
}

// What the key carries is told in the words of a channels token, so that a server can judge both alike from here on.
function admitKey({ id }: Environment, key: PublishableKey, { checks }: Trial): Allowed {
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
