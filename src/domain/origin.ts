const ORIGIN = /^https?:\/\/[^/?#@*\s]+$/
const LONGEST_ORIGIN = 512
const MOST_SHOWN = 128

/**
 * Why `text` is no canonical origin, or `undefined` when it is one: `scheme://host[:port]` as a browser sends it
 * (RFC 6454 §6.2), lower case, without a default port, since origins are compared as they stand.
 */
export function originFault(text: string): string | undefined {
  if (text.length > LONGEST_ORIGIN) return `must be at most ${LONGEST_ORIGIN} characters`
  if (ORIGIN.test(text) && URL.canParse(text) && new URL(text).origin === text) return undefined
  return 'must be an origin as browsers send it, like https://app.example.com or http://localhost:5173'
}

/** An origin for the sentence of a refusal: what claims to be one may be as long as a body. */
export function showOrigin(origin: string | undefined): string {
  if (origin === undefined) return 'none'
  return origin.length > MOST_SHOWN ? `${origin.slice(0, MOST_SHOWN)}…` : origin
}

/** Whether `text` is what a list of allowed origins may hold: an origin, or `https://*.example.com` for all below it. */
export function allowedOriginFault(text: string): string | undefined {
  // Below nothing lies everything whose name ends in a dot.
  if (/:\/\/\*\.(?::|$)/.test(text)) return 'must name a domain behind `*.`'
  return originFault(text.replace(BELOW, '://below.'))
}

/**
 * Whether an origin, as a browser sent it, is in a list of allowed ones. The `*` of `https://*.example.com` takes the
 * place of one label or more; `*` alone is any origin, and is the only one that is without any as well.
 */
export function admitsOrigin(allowed: readonly string[], origin: string | undefined): boolean {
  if (allowed.includes('*')) return true
  if (origin === undefined || originFault(origin) !== undefined) return false
  return allowed.some((entry) => entry === origin || isBelow(entry, origin))
}

const BELOW = '://*.'

function isBelow(entry: string, origin: string): boolean {
  const [scheme, host] = entry.split(BELOW)
  return host !== undefined && origin.startsWith(`${scheme}://`) && origin.endsWith(`.${host}`)
}
