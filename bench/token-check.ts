import { createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { WrongAnswer } from './load.ts'

/** By `kid`; what has no `kid` is verified with the key of the name ''. */
export type VerifyingKeys = Map<string, KeyObject>

/** @throws WrongAnswer for what is no token of this contestant */
export type TokenCheck = (token: unknown) => void

/** Verifies a JWT: its signature, and that it is not over. */
export function tokenCheck(keys: VerifyingKeys): TokenCheck {
  return (token) => {
    const parts = typeof token === 'string' ? token.split('.') : []
    const [header = '', claims = '', signature = ''] = parts
    const { kid = '' } = parse(header)
    const key = keys.get(String(kid))
    const isWhole = parts.length === 3 && Number(parse(claims).exp) > Date.now() / 1000
    if (key !== undefined && isWhole && isSignature(key, `${header}.${claims}`, signature)) return
    throw new WrongAnswer(`This token does not verify: ${token}`)
  }
}

function isSignature(key: KeyObject, signingInput: string, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64url')
  if (key.type === 'public') {
    const digest = key.asymmetricKeyType === 'rsa' ? 'sha256' : null
    return verify(digest, Buffer.from(signingInput), key, bytes)
  }
  const expected = createHmac('sha256', key).update(signingInput).digest()
  return bytes.length === expected.length && timingSafeEqual(bytes, expected)
}

function parse(part: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString())
  } catch {
    return {}
  }
}
