import { DEFAULT_TAG, nameFault, tagFault } from '../domain/environment.ts'
import { JetonError } from '../domain/errors.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Seams } from '../seams.ts'
import type { ApiKey, ChangeSet, Environment, SigningKey, Store } from '../store/store.ts'
import { generateAdminKey, generateApiKey } from './api-keys.ts'
import type { Sealer } from './sealing.ts'
import { generateEd25519Key, generateHs256Key } from './signing-keys.ts'

/** An environment as it was made, with the texts of its keys: the only time that the secret one is seen. */
export interface NewEnvironment {
  readonly environment: Environment
  readonly keyId: string
  readonly secretKey: string
  readonly publishableKey: string
}

/** What the very first start makes outside production. */
export interface FirstRun extends NewEnvironment {
  /** `undefined` when an admin key was configured. */
  readonly adminKey: string | undefined
}

export interface Environments {
  /**
   * Makes an environment with one secret, one publishable and two signing keys.
   *
   * @throws JetonError `body_invalid` for a name or tag that cannot be, `conflict` for a name in use
   */
  create(name: string, tag?: string): Promise<NewEnvironment>
  /**
   * Makes the environment `Development`, and an admin key unless one is configured, if there is no environment at
   * all; `undefined` when there is.
   */
  createFirst(configuredAdminKey: string | undefined): Promise<FirstRun | undefined>
}

interface EnvironmentsDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly seams: Seams
}

export function createEnvironments({ store, sealer, seams }: EnvironmentsDeps): Environments {
  return { create, createFirst }

  async function create(name: string, tag = DEFAULT_TAG): Promise<NewEnvironment> {
    const issues = [
      { path: 'name', message: nameFault(name) },
      { path: 'tag', message: tagFault(tag) },
    ].flatMap(({ path, message }) => (message === undefined ? [] : [{ path, message }]))
    const [first] = issues
    if (first !== undefined) throw new JetonError('body_invalid', first.message, { issues })
    const draft = await draftEnvironment(name, tag)
    try {
      await store.change((changes) => insert(changes, draft))
    } catch (error) {
      if (!(error instanceof JetonError) || error.error !== 'conflict') throw error
      throw new JetonError('conflict', `An environment named "${name}" is there already.`, { cause: error })
    }
    return draft.made
  }

  async function createFirst(configuredAdminKey: string | undefined): Promise<FirstRun | undefined> {
    if ((await store.listEnvironments()).length > 0) return undefined
    const draft = await draftEnvironment('Development', 'dev')
    const admin = configuredAdminKey === undefined ? generateAdminKey(seams) : undefined
    return await store.change(async (changes) => {
      // Asked again inside: another process may have been first.
      if ((await changes.countEnvironments()) > 0) return undefined
      await insert(changes, draft)
      if (admin !== undefined) await changes.insertAdminKey(admin.row)
      return { ...draft.made, adminKey: admin?.text }
    })
  }

  // Made before the transaction begins, so that it holds the database's lock for the writes alone.
  async function draftEnvironment(name: string, tag: string): Promise<Draft> {
    const id = writeIdentifier('env', seams.random(IDENTIFIER_RANDOM_BYTES))
    const environment = { id, name, tag, createdAt: seams.now() }
    const secret = generateApiKey('secret', environment, seams)
    const publishable = generateApiKey('publishable', environment, seams)
    return {
      made: { environment, keyId: secret.row.id, secretKey: secret.text, publishableKey: publishable.text },
      apiKeys: [secret.row, publishable.row],
      signingKeys: [generateHs256Key(id, sealer, seams), await generateEd25519Key(id, sealer, seams)],
    }
  }
}

interface Draft {
  readonly made: NewEnvironment
  readonly apiKeys: readonly ApiKey[]
  readonly signingKeys: readonly SigningKey[]
}

async function insert(changes: ChangeSet, draft: Draft): Promise<void> {
  await changes.insertEnvironment(draft.made.environment)
  for (const key of draft.apiKeys) await changes.insertApiKey(key)
  for (const key of draft.signingKeys) await changes.insertSigningKey(key)
}
