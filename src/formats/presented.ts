import type { Ceiling } from '../domain/grant.ts'
import { type ParsedToken, parseToken, type TokenHeader } from '../domain/jws.ts'
import type { Refusal, Trial } from '../domain/verdict.ts'
import { malformed } from './claim-rules.ts'
import { CLIENT_KEY_PREFIX } from './client.ts'

/** A token that could be read, and nothing more. */
export interface Presented extends ParsedToken {
  /** Whether it came as `ek_` and the token, as client tokens do. */
  readonly asClientKey: boolean
}

/** A key that may have signed a token, as far as a judge has to know it. */
export interface JudgingKey {
  readonly algorithm: 'HS256' | 'EdDSA'
  /** The one format whose tokens an imported key signs. */
  readonly format: string | undefined
  /** Set for a secret key with which a backend signs by itself. */
  readonly localSigner: LocalSigner | undefined
}

/** A secret key with which a backend signs channels tokens by itself, and what these may hold at most. */
export interface LocalSigner {
  readonly keyId: string
  readonly ceiling: Ceiling
  readonly longestSeconds: number
  /** When the key expired or expires, unix seconds: it signs nothing from there on. */
  readonly endsAt: number | undefined
}

/** Reads a token in either spelling: the JWT, or `ek_` and the JWT. */
export function readToken(text: string, trial: Trial): Presented | Refusal {
  const asClientKey = text.startsWith(CLIENT_KEY_PREFIX)
  const parsed = parseToken(asClientKey ? text.slice(CLIENT_KEY_PREFIX.length) : text)
  if ('fault' in parsed) {
    const refusal = malformed(`The token ${parsed.fault}.`)
    trial.hold('token', refusal)
    return refusal
  }
  trial.hold('token', undefined)
  return { ...parsed, asClientKey }
}

/** Tries whether the key that the header names is there, and whether the token is signed as that key signs. */
export function tryKey({ alg }: TokenHeader, key: JudgingKey | undefined, trial: Trial): Refusal | undefined {
  if (key === undefined) return trial.hold('signing_key', signingKeyUnknown)
  trial.hold('signing_key', undefined)
  // RFC 8725 §3.1: the key says which algorithm, never the token.
  return trial.hold('algorithm', alg === key.algorithm ? undefined : algorithmRefused(alg, key))
}

/** The refusal of a token whose `kid` names no key here. */
export const signingKeyUnknown: Refusal = {
  code: 'signing_key_unknown',
  detail: 'No key of this environment that signs, or signed until not long ago, has the kid of the token.',
}

function algorithmRefused(alg: string, { algorithm }: JudgingKey): Refusal {
  const named = alg.slice(0, 16)
  return {
    code: 'algorithm_refused',
    detail: `The token says ${named}, and its key signs with ${algorithm}.`,
  }
}

/** The refusal of a token that its key did not sign. */
export const signatureInvalid: Refusal = {
  code: 'signature_invalid',
  detail: 'The signature is not that of the key that the token names.',
}
