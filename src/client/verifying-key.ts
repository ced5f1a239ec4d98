import type { JudgingKey } from '../formats/presented.ts'

/** A key that tells whether it made a signature, and what a judge has to know of it. */
export interface VerifyingKey extends JudgingKey {
  isSignature(signingInput: string, signature: Uint8Array<ArrayBuffer>): Promise<boolean>
}

type Key = Parameters<typeof crypto.subtle.verify>[1]

const encoder = new TextEncoder()

/** A public key of a JWKS; `format` is the one that an imported key signs. */
export function ed25519Key(key: Key, format: string | undefined): VerifyingKey {
  return verifyingKey('EdDSA', 'Ed25519', key, format)
}

/** An HS256 secret, imported once (RFC 7518 §3.2). It can be used to verify alone. */
export async function hs256Key(
  secret: Uint8Array<ArrayBuffer>,
  format: string | undefined,
): Promise<VerifyingKey> {
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, [
    'verify',
  ])
  return verifyingKey('HS256', 'HMAC', key, format)
}

function verifyingKey(
  algorithm: JudgingKey['algorithm'],
  name: string,
  key: Key,
  format: string | undefined,
): VerifyingKey {
  return {
    algorithm,
    format,
    // Only the gate knows the keys with which backends sign by themselves.
    localSigner: undefined,
    isSignature: (signingInput, signature) =>
      crypto.subtle.verify(name, key, signature, encoder.encode(signingInput)),
  }
}
