import { ceilingOf } from '../domain/grant.ts'
import { channels } from '../formats/channels.ts'
import { longestTtl } from '../formats/lifetime.ts'
import type { LocalSigner } from '../formats/presented.ts'
import type { ApiKey, Environment } from '../store/store.ts'
import type { NewKey } from './api-keys.ts'
import type { Sealer } from './sealing.ts'
import { hs256Check, type SignatureCheck } from './signing-keys.ts'

/** A secret key with which a backend signs channels tokens by itself, on the side of those who judge. */
export interface LocalVerifier extends SignatureCheck {
  readonly format: undefined
  readonly localSigner: LocalSigner
}

/** Keeps the text of a new secret key as well, sealed, so that what its holder signs can be verified. */
export function forLocalSigning({ row, text }: NewKey<ApiKey>, sealer: Sealer): NewKey<ApiKey> {
  return { row: { ...row, sealedSecret: sealer.seal(Buffer.from(text), sealingContext(row)) }, text }
}

/**
 * Opens such a key. What it signs is keyed with the bytes of the key's whole text (WIRE 2).
 *
 * @returns `undefined` for a key that is not for this
 * @throws SealError when the text is sealed under another data key or was moved here
 */
export function openLocalVerifier(
  key: ApiKey,
  { settings }: Environment,
  sealer: Sealer,
): LocalVerifier | undefined {
  if (key.sealedSecret === undefined) return undefined
  const grant = key.grant ?? {}
  const localSigner = {
    keyId: key.id,
    ceiling: ceilingOf(grant),
    longestSeconds: longestTtl(channels, settings.lifetimes, grant),
    endsAt: key.expiresAt === undefined ? undefined : Math.ceil(key.expiresAt / 1000),
  }
  const secret = sealer.open(key.sealedSecret, sealingContext(key))
  return { ...hs256Check(secret), format: undefined, localSigner }
}

function sealingContext({ environmentId, id }: ApiKey): string {
  return `api_key/${environmentId}/${id}`
}
