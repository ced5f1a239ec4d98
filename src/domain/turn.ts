import { createHmac } from 'node:crypto'

/** Schemes of STUN and TURN URLs (RFC 7064, RFC 7065). */
const ICE_URL = /^(?:stuns?|turns?):./
const LONGEST_ICE_URL = 512

/** One entry of a browser's `iceServers`. */
export interface IceServer {
  readonly urls: readonly string[]
  readonly username: string
  readonly credential: string
}

/** Why `url` cannot be the URL of an ICE server, or `undefined` when it can. */
export function iceUrlFault(url: unknown): string | undefined {
  if (typeof url !== 'string') return 'must be one URL or a list of URLs'
  if (url.length > LONGEST_ICE_URL) return `must be at most ${LONGEST_ICE_URL} characters`
  return ICE_URL.test(url) ? undefined : 'must be a stun:, stuns:, turn: or turns: URL'
}

/**
 * Credentials that a TURN server with the same secret accepts until `expiresAt`: coturn's `use-auth-secret`,
 * draft-uberti-behave-turn-rest-00 §2.2. The username carries the end, the password is its HMAC-SHA1.
 *
 * @param expiresAt unix seconds
 */
export function turnCredentials(
  urls: readonly string[],
  secret: string,
  subject: string,
  expiresAt: number,
): IceServer {
  const username = `${expiresAt}:${subject}`
  return { urls, username, credential: createHmac('sha1', secret).update(username).digest('base64') }
}
