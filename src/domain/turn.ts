import { createHmac, hash } from 'node:crypto'

// Scheme and host (RFC 7064 §3.1, RFC 7065 §3.1): no `//`, no spaces. Lower case, as the real client compares it.
const ICE_URL = /^(?:stuns?|turns?):[^/\s]\S*$/
const LONGEST_ICE_URL = 512

// coturn refuses usernames with spaces, quotes or backslashes, or with both of two words of SQL, and RFC 8489 §14.3
// those of 509 bytes and more.
const PLAIN_SUBJECT = /^(?!.*union.*select|.*select.*union)[\w.@:+~-]{1,128}$/i

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
 * draft-uberti-behave-turn-rest-00 §2.2. The username carries the end, the password is its HMAC-SHA1. A subject that
 * coturn would not take in a username stands in it as its SHA-256, in hex.
 *
 * @param expiresAt unix seconds
 */
export function turnCredentials(
  urls: readonly string[],
  secret: string,
  subject: string,
  expiresAt: number,
): IceServer {
  const username = `${expiresAt}:${PLAIN_SUBJECT.test(subject) ? subject : hash('sha256', subject)}`
  return { urls, username, credential: createHmac('sha1', secret).update(username).digest('base64') }
}
