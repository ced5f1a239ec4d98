/**
 * The catalogue of every error that Jeton answers with: one stable code, its HTTP status and its title.
 * A new code stands here first and in docs/errors.md second; a test holds the two together.
 */
export const errorCatalogue = {
  body_invalid: { status: 400, title: 'The body is not what this endpoint takes' },
  channel_reserved: { status: 400, title: 'The channel is reserved' },
  token_too_large: { status: 400, title: 'The token would be too large' },
  request_malformed: { status: 400, title: 'The request is not valid HTTP' },
  key_missing: { status: 401, title: 'No key was sent' },
  key_malformed: { status: 401, title: 'The key is not written like a key' },
  key_unknown: { status: 401, title: 'The key is not known here' },
  key_revoked: { status: 401, title: 'The key was revoked' },
  key_expired: { status: 401, title: 'The key has expired' },
  key_kind_wrong: { status: 403, title: 'The key is of another kind' },
  secret_key_in_browser: { status: 403, title: 'A secret key was sent by a browser' },
  beyond_grant: { status: 403, title: 'The key may not do that' },
  address_not_allowed: { status: 403, title: 'The key may not be used from this address' },
  cannot_mint_with_token: { status: 403, title: 'A token cannot mint' },
  environment_archived: { status: 403, title: 'The environment is archived' },
  https_required: { status: 403, title: 'A secret must travel over HTTPS' },
  not_found: { status: 404, title: 'Nothing is here' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  conflict: { status: 409, title: 'It stands in the way of what is there' },
  body_too_large: { status: 413, title: 'The body is too large' },
  media_type_unsupported: { status: 415, title: 'The body is of another media type' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request line or the headers are too large' },
  internal: { status: 500, title: 'Something went wrong here' },
  journal_unavailable: { status: 503, title: 'The record cannot be written' },
  store_unavailable: { status: 503, title: 'The keys cannot be read' },
  shutting_down: { status: 503, title: 'This process is shutting down' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof errorCatalogue

/** One fault in a body: where (`channels[2]`, empty for the whole body) and what is wrong there. */
export interface Issue {
  readonly path: string
  readonly message: string
}

export interface ErrorDetails {
  readonly issues?: readonly Issue[]
  /** Whole seconds after which the same request may succeed. */
  readonly retryAfterSeconds?: number
  /** The true reason, for the log alone. */
  readonly cause?: unknown
}

/**
 * An error that a caller may read. `message` is a public sentence; whatever must not leave the house
 * travels as `cause`.
 */
export class JetonError extends Error {
  readonly error: ErrorCode
  readonly issues: readonly Issue[] | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(error: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause })
    this.name = 'JetonError'
    this.error = error
    this.issues = details.issues
    this.retryAfterSeconds = details.retryAfterSeconds
  }
}
