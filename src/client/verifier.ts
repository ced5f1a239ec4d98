import type { z } from 'zod'
import { createTrial, type Refusal, type Trial } from '../domain/verdict.ts'
import { askSchema, type Question } from '../formats/ask.ts'
import { admitToken, type Decision, refused } from '../formats/decision.ts'
import { type Accepted, type Identity, tryClaims } from '../formats/judgement.ts'
import { readToken, signatureInvalid, signingKeyUnknown, tryKey } from '../formats/presented.ts'
import { readOptions, type VerifierOptions } from './options.ts'
import { createPublicKeys } from './public-keys.ts'
import { createRevocationFollower } from './revocation-follower.ts'
import { VerifierError } from './verifier-error.ts'
import { hs256Key, type VerifyingKey } from './verifying-key.ts'

export type { GateCode } from '../domain/verdict.ts'
export type { Allowed, Decision, Refused } from '../formats/decision.ts'
export type { SecretJwk, VerifierOptions } from './options.ts'
export { VerifierError, type VerifierErrorCode } from './verifier-error.ts'

/** What a holder wants to do, as `POST /v1/verify` takes it: an action on a channel, another peer, or a model. */
export type AskInput = z.input<typeof askSchema>

/** Judges tokens of one environment in this process, as the gate does. */
export interface Verifier {
  /**
   * Decides about a token: the answer of `POST /v1/verify`, member for member. Any text is answered, not thrown. Tokens
   * that a backend signed with a key of its own (`--local-signing`) are answered with `signing_key_unknown`, and
   * publishable keys are not taken at all: only the gate can judge those.
   *
   * @param ask what the holder wants to do; left out, whether the holder may be here at all
   * @param circumstances.origin the `Origin` that the browser sent with the connection
   * @throws VerifierError `ask_invalid`; `keys_stale` or `revocations_stale` when what it knows is too old to decide,
   *   and nobody may be let in; `closed`
   */
  check(
    token: string,
    ask?: AskInput | null,
    circumstances?: { readonly origin?: string | null | undefined },
  ): Promise<Decision>
  /**
   * Ends once keys and revocations are known. A server that waits for it at its start finds a wrong option there.
   *
   * @throws VerifierError `keys_stale` or `revocations_stale` when they are not; `closed`
   */
  ready(): Promise<void>
  /** Stops all that goes on in the background. Without it, a process may live on for the time of one poll, 25 seconds. */
  close(): Promise<void>
}

/**
 * Makes a verifier, which begins at once to fetch the keys and to follow the revocations of its environment.
 *
 * @throws VerifierError `options_invalid`
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { environmentId, jwksUrl, feed, secrets, ...deps } = readOptions(options)
  const closing = new AbortController()
  const shared = new Map(secrets.map(({ kid, k, fmt }) => [kid, hs256Key(k, fmt)]))
  const following = { ...deps, signal: closing.signal }
  const keys = jwksUrl && createPublicKeys({ ...following, url: jwksUrl })
  const revocations =
    feed &&
    createRevocationFollower({
      ...following,
      ...feed,
      environmentId,
      // Its JWKS was empty meanwhile.
      onRestored: async () => keys?.refresh(),
    })
  return { check, ready, close }

  async function check(
    token: string,
    ask?: AskInput | null,
    circumstances?: { readonly origin?: string | null | undefined },
  ): Promise<Decision> {
    closing.signal.throwIfAborted()
    const question = readQuestion(ask, circumstances?.origin)
    const trial = createTrial()
    const accepted = await tryToken(token, trial)
    if ('code' in accepted) return refused(accepted, trial)
    const refusal = accepted.format.permits(accepted.held, question, trial)
    return refusal === undefined ? admitToken(environmentId, accepted, trial) : refused(refusal, trial)
  }

  async function tryToken(text: unknown, trial: Trial): Promise<Accepted | Refusal> {
    // Web frameworks make lists and objects of what a stranger sends twice.
    const presented = readToken(typeof text === 'string' ? text : '', trial)
    if ('code' in presented) return presented
    const key = await keyOf(presented.header.kid)
    const refusal = tryKey(presented.header, key, trial)
    if (refusal !== undefined || key === undefined) return refusal ?? signingKeyUnknown
    const isSigned = await key.isSignature(presented.signingInput, Uint8Array.from(presented.signature))
    const forged = trial.hold('signature', isSigned ? undefined : signatureInvalid)
    if (forged !== undefined) return forged
    await revocations?.current()
    const circumstances = {
      environmentId,
      archived: revocations?.isArchived() ?? false,
      now: Math.floor(deps.now() / 1000),
      reasonAgainst: (_id: string, identity: Identity) => revocations?.reasonAgainst(identity),
    }
    return tryClaims(presented, key, circumstances, trial)
  }

  async function keyOf(kid: string): Promise<VerifyingKey | undefined> {
    return (await shared.get(kid)) ?? (await keys?.find(kid))
  }

  async function ready(): Promise<void> {
    closing.signal.throwIfAborted()
    await Promise.all([...shared.values(), keys?.current(), revocations?.current()])
  }

  async function close(): Promise<void> {
    closing.abort(new VerifierError('closed', 'The verifier was closed.'))
    await Promise.all([keys?.ended, revocations?.ended])
  }
}

function readQuestion(ask: AskInput | null | undefined, origin: string | null | undefined): Question {
  const parsed = askSchema.optional().safeParse(ask ?? undefined)
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${['ask', ...path].join('.')} ${message}`)
    throw new VerifierError('ask_invalid', `${faults.join('; ')}.`)
  }
  return { ask: parsed.data, origin: origin ?? undefined }
}
