import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { compactSigner } from './jws.ts'

/** A PulseBeam secret: `sk_` and the 64 hex digits of an Ed25519 seed (WIRE 4). */
const PREFIX = 'sk_'
const SEED_BYTES = 32

// RFC 8410 §7: the fixed head of a PKCS #8 Ed25519 private key, before its 32 bytes of seed.
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Why `text` is no PulseBeam secret, in the words of its own tools, or `undefined` when it is one. */
export function peerSecretFault(text: string): string | undefined {
  if (!text.startsWith(PREFIX) || !/^[0-9a-f]*$/i.test(text.slice(PREFIX.length))) {
    return 'invalid secret format, expecting hex'
  }
  return text.length === PREFIX.length + 2 * SEED_BYTES ? undefined : 'invalid secret length'
}

/** The Ed25519 private key of such a secret, which must be without fault. */
export function privateKeyOfPeerSecret(text: string): KeyObject {
  const seed = Buffer.from(text.slice(PREFIX.length), 'hex')
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
}

/**
 * Signs a peer token as PulseBeam's own tools do: two header members and its four claims, nothing of ours (DESIGN 5).
 *
 * @param secret must be without fault
 */
export function signPeerToken(kid: string, secret: string, claims: object): string {
  const key = privateKeyOfPeerSecret(secret)
  const signatureOf = (input: string) => sign(null, Buffer.from(input), key).toString('base64url')
  return compactSigner({ alg: 'EdDSA', kid }, signatureOf).sign(JSON.stringify(claims))
}
