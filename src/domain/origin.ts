const ORIGIN = /^https?:\/\/[^/?#@*\s]+$/
const LONGEST_ORIGIN = 512

/**
 * Why `text` is no canonical origin, or `undefined` when it is one: `scheme://host[:port]` as a browser sends it
 * (RFC 6454 §6.2), lower case, without a default port, since origins are compared as they stand.
 */
export function originFault(text: string): string | undefined {
  if (text.length > LONGEST_ORIGIN) return `must be at most ${LONGEST_ORIGIN} characters`
  if (ORIGIN.test(text) && URL.canParse(text) && new URL(text).origin === text) return undefined
  return 'must be an origin as browsers send it, like https://app.example.com or http://localhost:5173'
}
