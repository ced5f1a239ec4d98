/** Every reason for which a verifier has no answer, or something to tell. */
export type VerifierErrorCode =
  /** Thrown by `createVerifier`: an option is missing or cannot be as it is. */
  | 'options_invalid'
  /** Thrown by `check`: the ask or the origin is none. The realtime server's own fault, as 400 is at the gate. */
  | 'ask_invalid'
  /** Thrown by `check` and `ready`: the public keys were not fetched for longer than `offlineSeconds`. */
  | 'keys_stale'
  /** Thrown by `check` and `ready`: revocations may be missing since more than `offlineSeconds`. */
  | 'revocations_stale'
  /** Thrown by `check` and `ready` after `close`. */
  | 'closed'
  /** Told to `onError`: the public keys could not be fetched. It goes on with those that it has. */
  | 'keys_unavailable'
  /** Told to `onError`: the feed could not be read. It goes on with what it knows. */
  | 'revocations_unavailable'
  /** Told to `onError`: the feed is not for this secret key, or is that of another environment. */
  | 'revocations_refused'

/** A verifier has no answer: neither that somebody may come in, nor that a rule refused. `cause` says why. */
export class VerifierError extends Error {
  override readonly name = 'VerifierError'
  readonly code: VerifierErrorCode

  constructor(code: VerifierErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
