import { nextPhaseAfter, phaseAt, publishedKeysAt, signingKeyFor } from '../domain/signing-period.ts'
import type { SigningAlgorithm, SigningKey } from '../store/store.ts'
import { once } from './once.ts'
import type { Sealer } from './sealing.ts'
import { openSignatureCheck, openSigner, type SignatureCheck, type Signer } from './signing-keys.ts'

/** A public key as it stands in a JWKS (RFC 7517 §4, RFC 8037 §2). `fmt` is ours; who does not know it ignores it. */
export interface PublicJwk {
  readonly kty: string
  readonly crv: string
  readonly x: string
  readonly kid: string
  readonly alg: 'EdDSA'
  readonly use: 'sig'
  /** The one format that an imported key signs, so that whoever judges by the JWKS holds it to that as the gate does. */
  readonly fmt?: string
}

/** The signing keys of every environment in memory, each doing what its period says. `now` is unix milliseconds. */
export interface Signers {
  /** Takes a key in, or its newer state. */
  put(key: SigningKey): void
  /** Forgets every key. */
  clear(): void
  /** What signs a format's tokens at `now`; `undefined` when no key may. */
  signerFor(environmentId: string, asked: Asked, now: number): Signer | undefined
  /** What verifies the tokens that name this `kid`; `undefined` when no key of the environment has it any more. */
  verifierFor(environmentId: string, kid: string, now: number): Verifier | undefined
  publicKeys(environmentId: string, now: number): readonly PublicJwk[]
  /** Whether any key of the environment may sign at `now`. */
  canSign(environmentId: string, now: number): boolean
}

/** A signing key on the side of those who judge. */
export interface Verifier extends SignatureCheck {
  /** The one format that an imported key signs. */
  readonly format: string | undefined
  readonly localSigner: undefined
}

interface Asked {
  readonly format: string
  readonly algorithm: SigningAlgorithm
}

/** One environment's keys, and what was chosen among them since no phase has changed. */
interface Ring {
  readonly keys: readonly SigningKey[]
  readonly chosen: Map<string, SigningKey | undefined>
  chosenFrom: number
  chosenUntil: number
}

export function createSigners(sealer: Sealer): Signers {
  const rings = new Map<string, Ring>()
  const signers = new WeakMap<SigningKey, Signer>()
  const verifiers = new WeakMap<SigningKey, Verifier>()
  const publicJwks = new WeakMap<SigningKey, PublicJwk>()

  return { put, clear: () => rings.clear(), signerFor, verifierFor, publicKeys, canSign }

  function put(key: SigningKey): void {
    const others = keysOf(key.environmentId).filter((other) => other.kid !== key.kid)
    rings.set(key.environmentId, {
      keys: [...others, key],
      chosen: new Map(),
      chosenFrom: Number.POSITIVE_INFINITY,
      chosenUntil: Number.POSITIVE_INFINITY,
    })
  }

  function signerFor(environmentId: string, asked: Asked, now: number): Signer | undefined {
    const ring = rings.get(environmentId)
    const key = ring && choose(ring, asked, now)
    return key && once(signers, key, (used) => openSigner(used, sealer))
  }

  function verifierFor(environmentId: string, kid: string, now: number): Verifier | undefined {
    const key = keysOf(environmentId).find((known) => known.kid === kid)
    if (key === undefined || phaseAt(key, now) === 'gone') return undefined
    return once(verifiers, key, (used) => {
      const { format } = used
      return { ...openSignatureCheck(used, sealer), format, localSigner: undefined }
    })
  }

  function publicKeys(environmentId: string, now: number): readonly PublicJwk[] {
    return publishedKeysAt(keysOf(environmentId), now).flatMap((key) =>
      key.publicJwk === undefined ? [] : [once(publicJwks, key, toPublicJwk)],
    )
  }

  function canSign(environmentId: string, now: number): boolean {
    return keysOf(environmentId).some((key) => phaseAt(key, now) === 'signing')
  }

  function keysOf(environmentId: string): readonly SigningKey[] {
    return rings.get(environmentId)?.keys ?? []
  }
}

// Every token asks for this, and the answer changes with a phase alone: it is kept until the next one, and not used
// before the moment at which it was found either, since a wall clock can be set back.
function choose(ring: Ring, asked: Asked, now: number): SigningKey | undefined {
  if (now < ring.chosenFrom || now >= ring.chosenUntil) {
    ring.chosen.clear()
    ring.chosenFrom = now
    ring.chosenUntil = nextPhaseAfter(ring.keys, now)
  }
  const name = `${asked.algorithm}/${asked.format}`
  if (!ring.chosen.has(name)) ring.chosen.set(name, signingKeyFor(ring.keys, asked, now))
  return ring.chosen.get(name)
}

// Member by member, so that nothing else that may lie there, least of all `d`, is ever published.
function toPublicJwk({ kid, format, publicJwk = '' }: SigningKey): PublicJwk {
  const { kty, crv, x }: Pick<PublicJwk, 'kty' | 'crv' | 'x'> = JSON.parse(publicJwk)
  const fmt = format === undefined ? {} : { fmt: format }
  return { kty, crv, x, kid, alg: 'EdDSA', use: 'sig', ...fmt }
}
