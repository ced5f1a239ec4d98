import { DEFAULT_TAG, nameFault, tagFault } from '../domain/environment.ts'
import { JetonError } from '../domain/errors.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import { iceUrlFault } from '../domain/turn.ts'
import type { Format } from '../formats/format.ts'
import type { Seams } from '../seams.ts'
import type { ApiKey, ChangeSet, Environment, SigningAlgorithm, SigningKey, Store } from '../store/store.ts'
import { generateAdminKey, generateApiKey } from './api-keys.ts'
import type { Sealer } from './sealing.ts'
import { generateEd25519Key, generateHs256Key, importSigningKey } from './signing-keys.ts'
import { sealTurn } from './turn.ts'

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
   * @param options.tag stands in the text of its keys
   * @param options.signingAlgorithm what signs all of its tokens, whatever their format
   * @throws JetonError `body_invalid` for a name or tag that cannot be, `conflict` for a name in use
   */
  create(name: string, options?: EnvironmentOptions): Promise<NewEnvironment>
  /**
   * Makes the environment `Development`, and an admin key unless one is configured, if there is no environment at
   * all; `undefined` when there is.
   */
  createFirst(configuredAdminKey: string | undefined): Promise<FirstRun | undefined>
  /**
   * Says what signs all tokens of an environment from now on; `undefined` leaves it to each format.
   *
   * @throws JetonError `not_found`
   */
  setSigningAlgorithm(id: string, algorithm: SigningAlgorithm | undefined): Promise<void>
  /**
   * Gives an environment a TURN server, or with `undefined` takes it away. The secret is kept sealed.
   *
   * @throws JetonError `body_invalid` for a URL that no client takes or an empty secret, `not_found`
   */
  setTurn(id: string, turn: { urls: readonly string[]; secret: string } | undefined): Promise<void>
  /**
   * Takes in a signing key that exists already, for the tokens of one format.
   *
   * @throws JetonError `body_invalid` for what can be no key, `conflict` for a `kid` in use, `not_found`
   */
  importSigningKey(
    identity: { environmentId: string; kid: string; format: Pick<Format, 'name' | 'algorithm'> },
    secret: string,
  ): Promise<void>
}

export interface EnvironmentOptions {
  readonly tag?: string | undefined
  readonly signingAlgorithm?: SigningAlgorithm | undefined
}

interface EnvironmentsDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly seams: Seams
}

export function createEnvironments({ store, sealer, seams }: EnvironmentsDeps): Environments {
  return { create, createFirst, setSigningAlgorithm, setTurn, importSigningKey: takeIn }

  async function create(name: string, options: EnvironmentOptions = {}): Promise<NewEnvironment> {
    const { tag = DEFAULT_TAG, signingAlgorithm } = options
    const issues = [
      { path: 'name', message: nameFault(name) },
      { path: 'tag', message: tagFault(tag) },
    ].flatMap(({ path, message }) => (message === undefined ? [] : [{ path, message }]))
    if (issues.length > 0) {
      throw new JetonError('body_invalid', issues.map(({ message }) => message).join(' '), { issues })
    }
    const draft = await draftEnvironment(name, tag, signingAlgorithm)
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

  async function setSigningAlgorithm(
    id: string,
    signingAlgorithm: SigningAlgorithm | undefined,
  ): Promise<void> {
    await store.change((changes) => changes.updateEnvironment(id, { signingAlgorithm }))
  }

  async function setTurn(
    id: string,
    turn: { urls: readonly string[]; secret: string } | undefined,
  ): Promise<void> {
    if (turn !== undefined && (turn.urls.length === 0 || turn.urls.length > MOST_TURN_URLS)) {
      throw new JetonError('body_invalid', `A TURN server has 1 to ${MOST_TURN_URLS} URLs.`)
    }
    for (const url of turn?.urls ?? []) {
      const fault = iceUrlFault(url)
      if (fault !== undefined) throw new JetonError('body_invalid', `The URL ${url} ${fault}.`)
    }
    if (turn?.secret === '') throw new JetonError('body_invalid', 'The TURN secret is empty.')
    const sealed = turn && sealTurn(id, turn.urls, turn.secret, sealer)
    await store.change((changes) => changes.updateEnvironment(id, { turn: sealed }))
  }

  async function takeIn(
    identity: Parameters<Environments['importSigningKey']>[0],
    secret: string,
  ): Promise<void> {
    const key = importSigningKey(identity, secret, sealer, seams.now())
    await store.change(async (changes) => {
      await needEnvironment(changes, identity.environmentId)
      await changes.insertSigningKey(key)
    })
  }

  // Made before the transaction begins, so that it holds the database's lock for the writes alone.
  async function draftEnvironment(
    name: string,
    tag: string,
    signingAlgorithm?: SigningAlgorithm,
  ): Promise<Draft> {
    const id = writeIdentifier('env', seams.random(IDENTIFIER_RANDOM_BYTES))
    const environment = {
      id,
      name,
      tag,
      signingAlgorithm,
      turn: undefined,
      settings: {},
      createdAt: seams.now(),
      archivedAt: undefined,
    }
    const secret = generateApiKey('secret', environment, seams)
    const publishable = generateApiKey('publishable', environment, seams)
    return {
      made: { environment, keyId: secret.row.id, secretKey: secret.text, publishableKey: publishable.text },
      apiKeys: [secret.row, publishable.row],
      signingKeys: [generateHs256Key(id, sealer, seams), await generateEd25519Key(id, sealer, seams)],
    }
  }
}

/** All of them stand in every token: as many as one server has transports, and a few more. */
const MOST_TURN_URLS = 8

/** @throws JetonError `not_found` */
export async function needEnvironment(changes: ChangeSet, id: string): Promise<Environment> {
  const environment = await changes.findEnvironment(id)
  if (environment === undefined) throw new JetonError('not_found', 'There is no such environment.')
  return environment
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
