import { type ErrorCode, errorCatalogue } from '../domain/errors.ts'

/**
 * The code that OAuth's own libraries know for an error of ours (RFC 6749 §5.2; RFC 7009 §2.2.1, which leaves 503 to be
 * tried again).
 */
export function oauthCodeOf(error: ErrorCode): string {
  const { status } = errorCatalogue[error]
  if (status === 401) return 'invalid_client'
  if (status === 403) return 'unauthorized_client'
  if (status === 429 || status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
