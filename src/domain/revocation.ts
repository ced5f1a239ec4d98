/** What tells which tokens a revocation is about. */
export type RevocationKind = 'jti' | 'subject' | 'key'

/**
 * Tokens that were ended before their time: one, or all that a subject or a secret key was issued up to a moment. Times
 * are unix seconds, as in the tokens that they are compared with.
 */
export interface Revocation {
  readonly environmentId: string
  readonly kind: RevocationKind
  /** The `jti`, the subject, or the id of the secret key. */
  readonly value: string
  /** The last second whose tokens are refused; `undefined` for one token. */
  readonly before: number | undefined
  /** From here on no token that it is about can still be alive. */
  readonly until: number
  /** The revision of the change that made it. */
  readonly revision: number
}
