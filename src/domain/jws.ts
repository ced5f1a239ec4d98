import { hash } from 'node:crypto'

/** The longest token that is read, in characters: more than any that is minted, and no more than headers and URLs carry. */
export const LONGEST_TOKEN = 16_384

/** A JWT in its compact form (RFC 7515 §7.1), taken apart. Nothing in it is to be believed yet. */
export interface ParsedToken {
  readonly header: TokenHeader
  readonly claims: Readonly<Record<string, unknown>>
  /** What the signature is over: the first two parts as they stand. */
  readonly signingInput: string
  readonly signature: Uint8Array
}

export interface TokenHeader {
  readonly alg: string
  readonly kid: string
  readonly typ: string | undefined
}

/** Why a text is no token that could be judged. Worded for whoever looks into a refusal. */
export interface TokenFault {
  readonly fault: string
}

/** What names a token that has no `jti`: the digest of what its signature is over. */
export function digestOfToken({ signingInput }: Pick<ParsedToken, 'signingInput'>): string {
  return hash('sha256', signingInput, 'base64url')
}

const PARTS = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

/**
 * Header members by which a token would choose its own key or change how it is read (RFC 8725 §3.10; RFC 7515 §4.1;
 * RFC 7797). None is ever minted, so none is ignored. `crit` says that ignoring is not allowed; we know no extension.
 */
const REFUSED_MEMBERS = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'enc', 'zip'] as const

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Takes a token apart, strictly: three parts of canonical base64url, a header and a payload that are JSON objects, and
 * nothing around them. There is one spelling of each token, so that a revocation or a cache cannot be got around.
 */
export function parseToken(text: string): ParsedToken | TokenFault {
  if (text.length > LONGEST_TOKEN) return { fault: `is longer than ${LONGEST_TOKEN} characters` }
  const [, encodedHeader, encodedPayload, encodedSignature] = PARTS.exec(text) ?? []
  if (encodedHeader === undefined || encodedPayload === undefined || encodedSignature === undefined) {
    return { fault: 'is not three parts of base64url with dots between' }
  }
  const signature = decode(encodedSignature)
  const header = parseObject(encodedHeader)
  const claims = parseObject(encodedPayload)
  if (signature === undefined) return { fault: 'has a signature that is not canonical base64url' }
  if (header === undefined) return { fault: 'has a header that is not a JSON object in canonical base64url' }
  if (claims === undefined) return { fault: 'has a payload that is not a JSON object in canonical base64url' }
  const read = readHeader(header)
  if ('fault' in read) return read
  return { header: read, claims, signingInput: text.slice(0, text.lastIndexOf('.')), signature }
}

function readHeader(header: Readonly<Record<string, unknown>>): TokenHeader | TokenFault {
  const refused = REFUSED_MEMBERS.find((name) => Object.hasOwn(header, name))
  if (refused !== undefined) return { fault: `has the header member ${refused}, which is never taken` }
  const { alg, kid, typ } = header
  if (typeof alg !== 'string') return { fault: 'names no algorithm' }
  if (typeof kid !== 'string' || kid === '') return { fault: 'names no key: it has no kid' }
  // RFC 7519 §5.1 spells it JWT, and RFC 7515 §4.1.9 compares it without regard to case.
  if (typ !== undefined && (typeof typ !== 'string' || typ.toUpperCase() !== 'JWT')) {
    return { fault: 'is of another type than JWT' }
  }
  return { alg, kid, typ }
}

function parseObject(encoded: string): Readonly<Record<string, unknown>> | undefined {
  const bytes = decode(encoded)
  if (bytes === undefined) return undefined
  try {
    const value: unknown = JSON.parse(decoder.decode(bytes))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// Bits beyond the last byte must be zero (RFC 4648 §3.5): otherwise one signature would have several spellings.
function decode(encoded: string): Uint8Array | undefined {
  const bytes = Buffer.from(encoded, 'base64url')
  return bytes.toString('base64url') === encoded ? bytes : undefined
}
