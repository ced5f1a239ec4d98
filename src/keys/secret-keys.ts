import type { Grant } from '../domain/grant.ts'
import type { Seams } from '../seams.ts'
import type { ApiKey, Store } from '../store/store.ts'
import { generateApiKey, type NewKey } from './api-keys.ts'
import { needEnvironment } from './environments.ts'

/** What changes secret keys. */
export interface SecretKeys {
  /**
   * Makes a secret key; its text is seen this once.
   *
   * @param grant what its tokens may hold at most, checked; `undefined` does not limit it
   * @throws JetonError `not_found` when there is no such environment
   */
  create(environmentId: string, grant: Grant | undefined): Promise<NewKey<ApiKey>>
  /** @throws JetonError `not_found` when there is no such secret key */
  setGrant(keyId: string, grant: Grant | undefined): Promise<void>
}

export function createSecretKeys({
  store,
  seams,
}: {
  readonly store: Store
  readonly seams: Seams
}): SecretKeys {
  return {
    create: (environmentId, grant) =>
      store.change(async (changes) => {
        const environment = await needEnvironment(changes, environmentId)
        const made = generateApiKey('secret', environment, seams, grant)
        await changes.insertApiKey(made.row)
        return made
      }),
    setGrant: (keyId, grant) => store.change((changes) => changes.updateApiKey(keyId, { grant })),
  }
}
