import type { Claims } from '../formats/format.ts'

/** The record of one issued token. It names the token by `jti` and never holds it. */
export interface Issuance {
  readonly environmentId: string
  readonly keyId: string
  readonly format: string
  readonly subject: string
  readonly jti: string
  /** What was granted. */
  readonly policy: Claims
  readonly ttlSeconds: number
  /** Unix seconds. */
  readonly expiresAt: number
  /** How long the token is; `undefined` for what is no token. */
  readonly bytes: number | undefined
  /** The address of the backend that asked. */
  readonly address: string
  /** The end user's, if the backend passed it on. */
  readonly endUserAddress: string | undefined
  readonly requestId: string
}

/** Where every issuance is recorded, before its token leaves. */
export interface Journal {
  /** Whether records can be written now. */
  isAvailable(): boolean
  /** @throws JetonError `journal_unavailable` when the record cannot be written: the token must not leave then */
  append(issuance: Issuance): Promise<void> | void
}
