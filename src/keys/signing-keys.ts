import { createHmac, createPrivateKey, createSecretKey, sign as signAsymmetric } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Seams } from '../seams.ts'
import type { SigningAlgorithm, SigningKey } from '../store/store.ts'
import type { Sealer } from './sealing.ts'

/** Bytes of an HS256 secret: as many as its hash puts out (RFC 7518 §3.2). */
const HS256_SECRET_BYTES = 32

/** Signs with one key. Made once per key, so that a signature costs no import and no header. */
export interface Signer {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** The JWS in compact form (RFC 7515 §7.1) over a payload of JSON text. */
  sign(payload: string): string
}

/** A new HS256 key for an environment, with a random `kid`. */
export function generateHs256Key(environmentId: string, sealer: Sealer, seams: Seams): SigningKey {
  const kid = writeIdentifier('sig', seams.random(IDENTIFIER_RANDOM_BYTES))
  const secret = seams.random(HS256_SECRET_BYTES)
  return {
    environmentId,
    kid,
    algorithm: 'HS256',
    sealedSecret: sealer.seal(secret, sealingContext(environmentId, kid)),
    publicJwk: undefined,
    createdAt: seams.now(),
  }
}

/** A new Ed25519 key for an environment; its `kid` is its thumbprint (RFC 7638). */
export async function generateEd25519Key(
  environmentId: string,
  sealer: Sealer,
  seams: Seams,
): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  const secret = Buffer.from(await exportPKCS8(privateKey))
  return {
    environmentId,
    kid,
    algorithm: 'EdDSA',
    sealedSecret: sealer.seal(secret, sealingContext(environmentId, kid)),
    publicJwk: JSON.stringify(jwk),
    createdAt: seams.now(),
  }
}

/**
 * Opens a signing key for use.
 *
 * @throws SealError when the row is sealed under another data key or was changed
 */
export function openSigner(key: SigningKey, sealer: Sealer): Signer {
  const { kid, algorithm } = key
  const secret = sealer.open(key.sealedSecret, sealingContext(key.environmentId, kid))
  const header = base64url(JSON.stringify({ alg: algorithm, typ: 'JWT', kid }))
  const signatureOf = algorithm === 'HS256' ? hs256(secret) : ed25519(secret)
  return { kid, algorithm, sign }

  function sign(payload: string): string {
    const signingInput = `${header}.${base64url(payload)}`
    return `${signingInput}.${signatureOf(signingInput)}`
  }
}

function hs256(secret: Uint8Array): (signingInput: string) => string {
  const key = createSecretKey(secret)
  return (signingInput) => createHmac('sha256', key).update(signingInput).digest('base64url')
}

function ed25519(pkcs8: Uint8Array): (signingInput: string) => string {
  const key = createPrivateKey(Buffer.from(pkcs8).toString())
  return (signingInput) => signAsymmetric(null, Buffer.from(signingInput), key).toString('base64url')
}

// Binds a sealed secret to its row: moved to another environment or `kid`, it does not open.
function sealingContext(environmentId: string, kid: string): string {
  return `signing_key/${environmentId}/${kid}`
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
