import type { Grant } from '../domain/grant.ts'
import type { Access, ApiKey } from '../store/store.ts'

/**
 * What a process keeps in memory of every key: what decides about it, and nothing that people read. With its place in
 * the keyring that is half as much as the whole key, and much less for the collector to copy while 100,000 are read.
 */
export interface HeldKey
  extends Pick<
    ApiKey,
    'id' | 'environmentId' | 'kind' | 'expiresAt' | 'revokedAt' | 'exposedAt' | 'successorId'
  > {
  /** A secret key's grant as JSON, a third of its size as an object. Most keys are not in use at any one time. */
  readonly grantJson: string | undefined
  /** What a publishable key carries, likewise. */
  readonly accessJson: string | undefined
}

/**
 * Takes of a key what is to be held.
 *
 * @param environmentId the key's, as one text that all keys of the environment share: 40 bytes a key
 */
export function holdKey(key: ApiKey, environmentId: string): HeldKey {
  return {
    id: key.id,
    environmentId,
    // The same two texts for all keys, where each row brought a copy: 24 bytes a key.
    kind: key.kind === 'secret' ? 'secret' : 'publishable',
    grantJson: key.grant && JSON.stringify(key.grant),
    accessJson: key.access && JSON.stringify(key.access),
    expiresAt: key.expiresAt,
    revokedAt: key.revokedAt,
    exposedAt: key.exposedAt,
    successorId: key.successorId,
  }
}

/** What a held secret key may do at most. */
export function grantOf({ grantJson = '{}' }: HeldKey): Grant {
  return JSON.parse(grantJson)
}

/** A publishable key in use. */
export interface PublishableKey extends HeldKey {
  readonly access: Access | undefined
}

/** Makes a held publishable key ready for use. */
export function openPublishableKey(key: HeldKey): PublishableKey {
  return { ...key, access: key.accessJson === undefined ? undefined : JSON.parse(key.accessJson) }
}
