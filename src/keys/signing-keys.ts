import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  sign as signAsymmetric,
  timingSafeEqual,
  verify,
} from 'node:crypto'
import { JetonError } from '../domain/errors.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Format } from '../formats/format.ts'
import type { Seams } from '../seams.ts'
import type { SigningAlgorithm, SigningKey } from '../store/store.ts'
import { type CompactSigner, compactSigner, type SignatureOf } from './jws.ts'
import { peerSecretFault, privateKeyOfPeerSecret } from './peer-secret.ts'
import type { Sealer } from './sealing.ts'

/** Bytes of an HS256 secret: as many as its hash puts out (RFC 7518 §3.2). */
const HS256_SECRET_BYTES = 32

const IMPORTED_KID = /^[\x21-\x7e]{1,128}$/

/** Signs with one key. Made once per key, so that a signature costs no import and no header. */
export interface Signer extends CompactSigner {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
}

/** A new HS256 key for an environment, with a random `kid`. */
export function generateHs256Key(environmentId: string, sealer: Sealer, seams: Seams): SigningKey {
  const kid = writeIdentifier('sig', seams.random(IDENTIFIER_RANDOM_BYTES))
  const secret = seams.random(HS256_SECRET_BYTES)
  return {
    environmentId,
    kid,
    format: undefined,
    algorithm: 'HS256',
    sealedSecret: sealer.seal(secret, sealingContext(environmentId, kid)),
    publicJwk: undefined,
    createdAt: seams.now(),
    signsFrom: seams.now(),
    signsUntil: undefined,
    verifiesUntil: undefined,
    exportedAt: undefined,
  }
}

/** A new Ed25519 key for an environment; its `kid` is its thumbprint (RFC 7638). */
export async function generateEd25519Key(
  environmentId: string,
  sealer: Sealer,
  seams: Seams,
): Promise<SigningKey> {
  // Loaded here, since a server that makes no key needs none of it: 46 files of a start.
  const { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair } = await import('jose')
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  const secret = Buffer.from(await exportPKCS8(privateKey))
  return {
    environmentId,
    kid,
    format: undefined,
    algorithm: 'EdDSA',
    sealedSecret: sealer.seal(secret, sealingContext(environmentId, kid)),
    publicJwk: JSON.stringify(jwk),
    createdAt: seams.now(),
    signsFrom: seams.now(),
    signsUntil: undefined,
    verifiesUntil: undefined,
    exportedAt: undefined,
  }
}

/**
 * Opens a signing key for use.
 *
 * @throws SealError when the row is sealed under another data key or was changed
 */
export function openSigner(key: SigningKey, sealer: Sealer): Signer {
  const { kid, algorithm } = key
  const secret = openSecret(key, sealer)
  const signatureOf = algorithm === 'HS256' ? hs256(secret) : ed25519(secret)
  return { kid, algorithm, ...compactSigner({ alg: algorithm, typ: 'JWT', kid }, signatureOf) }
}

/** Tells whether one key made a signature. Made once per key. */
export interface SignatureCheck {
  readonly algorithm: SigningAlgorithm
  isSignature(signingInput: string, signature: Uint8Array): boolean
}

/**
 * Opens a signing key to verify with it.
 *
 * @throws SealError when the row is sealed under another data key or was changed
 */
export function openSignatureCheck(key: SigningKey, sealer: Sealer): SignatureCheck {
  if (key.publicJwk !== undefined) return ed25519Check(key.publicJwk)
  return hs256Check(openSecret(key, sealer))
}

/**
 * The secret of a signing key in the clear: it goes into a signature, or out by an export that was asked for.
 *
 * @throws SealError when the row is sealed under another data key or was changed
 */
export function openSecret({ environmentId, kid, sealedSecret }: SigningKey, sealer: Sealer): Uint8Array {
  return sealer.open(sealedSecret, sealingContext(environmentId, kid))
}

/** Verifies what is signed with this secret (RFC 7518 §3.2), in constant time. */
export function hs256Check(secret: Uint8Array): SignatureCheck {
  const key = createSecretKey(secret)
  return {
    algorithm: 'HS256',
    isSignature(signingInput, signature) {
      const expected = createHmac('sha256', key).update(signingInput).digest()
      return signature.length === expected.length && timingSafeEqual(signature, expected)
    },
  }
}

function ed25519Check(publicJwk: string): SignatureCheck {
  const key = createPublicKey({ key: JSON.parse(publicJwk), format: 'jwk' })
  return {
    algorithm: 'EdDSA',
    isSignature: (signingInput, signature) => verify(null, Buffer.from(signingInput), key, signature),
  }
}

function hs256(secret: Uint8Array): SignatureOf {
  const key = createSecretKey(secret)
  return (signingInput) => createHmac('sha256', key).update(signingInput).digest('base64url')
}

function ed25519(pkcs8: Uint8Array): SignatureOf {
  const key = createPrivateKey(Buffer.from(pkcs8).toString())
  return (signingInput) => signAsymmetric(null, Buffer.from(signingInput), key).toString('base64url')
}

// Binds a sealed secret to its row: moved to another environment or `kid`, it does not open.
function sealingContext(environmentId: string, kid: string): string {
  return `signing_key/${environmentId}/${kid}`
}

/**
 * Takes in a key that exists already, for the tokens of one format: the text of an HS256 secret as it stands, or for a
 * format that is signed with EdDSA the seed of an Ed25519 key as PulseBeam writes it, `sk_` and 64 hex digits (WIRE 4).
 *
 * @throws JetonError `body_invalid` when the secret or the `kid` cannot be one
 */
export function importSigningKey(
  identity: { environmentId: string; kid: string; format: Pick<Format, 'name' | 'algorithm'> },
  secret: string,
  sealer: Sealer,
  now: number,
): SigningKey {
  const { environmentId, kid, format } = identity
  if (!IMPORTED_KID.test(kid))
    throw new JetonError('body_invalid', 'A kid is 1 to 128 printable characters without spaces.')
  const ed25519 = format.algorithm === 'EdDSA' ? ed25519FromSeed(secret) : undefined
  if (ed25519 === undefined && Buffer.byteLength(secret) < HS256_SECRET_BYTES) {
    throw new JetonError(
      'body_invalid',
      `An HS256 secret has at least ${HS256_SECRET_BYTES} bytes (RFC 7518 §3.2).`,
    )
  }
  return {
    environmentId,
    kid,
    format: format.name,
    algorithm: format.algorithm,
    sealedSecret: sealer.seal(ed25519?.pkcs8 ?? Buffer.from(secret), sealingContext(environmentId, kid)),
    publicJwk: ed25519?.publicJwk,
    createdAt: now,
    signsFrom: now,
    signsUntil: undefined,
    verifiesUntil: undefined,
    exportedAt: undefined,
  }
}

function ed25519FromSeed(text: string): { pkcs8: Buffer; publicJwk: string } {
  const fault = peerSecretFault(text)
  if (fault !== undefined) throw new JetonError('body_invalid', `The secret cannot be read: ${fault}.`)
  const privateKey = privateKeyOfPeerSecret(text)
  return {
    pkcs8: Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })),
    publicJwk: JSON.stringify(createPublicKey(privateKey).export({ format: 'jwk' })),
  }
}
