import { nameFault } from '../domain/environment.ts'
import { JetonError } from '../domain/errors.ts'
import { iceUrlFault } from '../domain/turn.ts'
import type { Format } from '../formats/format.ts'
import type { Seams } from '../seams.ts'
import type {
  ChangeSet,
  Environment,
  EnvironmentSettings,
  SigningAlgorithm,
  SigningKey,
  Store,
} from '../store/store.ts'
import { generateAdminKey } from './api-keys.ts'
import { onceOnly, type RepeatableCall } from './idempotency.ts'
import {
  draftEnvironment,
  type EnvironmentOptions,
  insertDraft,
  type NewEnvironment,
  refuseNames,
} from './new-environment.ts'
import type { Sealer } from './sealing.ts'
import { importSigningKey } from './signing-keys.ts'
import { sealTurn } from './turn.ts'

/** The same, now or when the call came the first time: the secret key is only there in the first answer. */
export type MadeEnvironment = Omit<NewEnvironment, 'secretKey'> & { readonly secretKey: string | undefined }

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
  /** The same for a call that may come twice; see `onceOnly`. */
  createOnce(name: string, options: EnvironmentOptions, call: RepeatableCall): Promise<MadeEnvironment>
  /**
   * Makes the environment `Development`, and an admin key if one is wanted, if there is no environment at all;
   * `undefined` when there is.
   */
  createFirst(options: { adminKey: boolean }): Promise<FirstRun | undefined>
  /**
   * Renames an environment, changes its settings, its TURN server or what signs its tokens, archives or restores it:
   * all at once or nothing. Members that are left out stay as they are.
   *
   * @throws JetonError `not_found`, `body_invalid` for a name or a TURN server that cannot be, `conflict` for a name in
   *   use
   */
  update(id: string, change: EnvironmentUpdate): Promise<Environment>
  /**
   * Takes in a signing key that exists already, for the tokens of one format.
   *
   * @param call makes it one call when it comes twice; see `onceOnly`
   * @throws JetonError `body_invalid` for what can be no key, `conflict` for a `kid` in use, `not_found`
   */
  importSigningKey(
    identity: { environmentId: string; kid: string; format: Pick<Format, 'name' | 'algorithm'> },
    secret: string,
    call?: RepeatableCall,
  ): Promise<SigningKey>
}

/** A TURN server as it is told to us. */
export interface TurnDraft {
  readonly urls: readonly string[]
  readonly secret: string
}

export interface EnvironmentUpdate {
  readonly name?: string | undefined
  /** `null` leaves it to each format. */
  readonly signingAlgorithm?: SigningAlgorithm | null | undefined
  /** Takes the place of all settings before. */
  readonly settings?: EnvironmentSettings | undefined
  /** A TURN server, whose secret is kept sealed; `null` takes it away. */
  readonly turn?: TurnDraft | null | undefined
  /** An archived environment mints nothing; what it was comes back when it is restored. */
  readonly archived?: boolean | undefined
}

interface EnvironmentsDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly seams: Seams
}

export function createEnvironments({ store, sealer, seams }: EnvironmentsDeps): Environments {
  return { create, createOnce, createFirst, update, importSigningKey: takeIn }

  async function create(name: string, options: EnvironmentOptions = {}): Promise<NewEnvironment> {
    const draft = await draftEnvironment(name, options, { sealer, seams })
    await nameConflict(name, () => store.change((changes) => insertDraft(changes, draft)))
    return draft.made
  }

  async function createOnce(
    name: string,
    options: EnvironmentOptions,
    call: RepeatableCall,
  ): Promise<MadeEnvironment> {
    const draft = await draftEnvironment(name, options, { sealer, seams })
    const steps = (changes: ChangeSet) => ({
      work: async (): Promise<MadeEnvironment> => {
        await insertDraft(changes, draft)
        return draft.made
      },
      ids: ({ environment, keyId, publishableKey }: MadeEnvironment) => [
        environment.id,
        keyId,
        publishableKey,
      ],
      again: async ([id = '', keyId = '', publishableKey = '']: readonly string[]) => {
        const environment = await needEnvironment(changes, id)
        return { environment, keyId, publishableKey, secretKey: undefined }
      },
    })
    return await nameConflict(name, () =>
      store.change((changes) => onceOnly(changes, call, seams.now(), steps(changes))),
    )
  }

  async function createFirst(options: { adminKey: boolean }): Promise<FirstRun | undefined> {
    if ((await store.listEnvironments()).length > 0) return undefined
    const draft = await draftEnvironment('Development', { tag: 'dev' }, { sealer, seams })
    const admin = options.adminKey ? generateAdminKey(seams) : undefined
    return await store.change(async (changes) => {
      // Asked again inside: another process may have been first.
      if ((await changes.countEnvironments()) > 0) return undefined
      await insertDraft(changes, draft)
      if (admin !== undefined) await changes.insertAdminKey(admin.row)
      return { ...draft.made, adminKey: admin?.text }
    })
  }

  async function update(id: string, asked: EnvironmentUpdate): Promise<Environment> {
    const { name, signingAlgorithm, settings, turn, archived } = asked
    if (name !== undefined) refuseNames([{ path: 'name', message: nameFault(name) }])
    if (turn) refuseTurn(turn)
    const sealedTurn = turn ? sealTurn(id, turn.urls, turn.secret, sealer) : undefined
    return await nameConflict(name ?? '', () =>
      store.change(async (changes) => {
        const environment = await needEnvironment(changes, id)
        const change = {
          ...(name === undefined ? {} : { name }),
          ...(signingAlgorithm === undefined ? {} : { signingAlgorithm: signingAlgorithm ?? undefined }),
          ...(settings === undefined ? {} : { settings }),
          ...(turn === undefined ? {} : { turn: sealedTurn }),
          ...(archived === undefined
            ? {}
            : { archivedAt: archived ? (environment.archivedAt ?? seams.now()) : undefined }),
        }
        await changes.updateEnvironment(id, change)
        return { ...environment, ...change }
      }),
    )
  }

  async function takeIn(
    identity: Parameters<Environments['importSigningKey']>[0],
    secret: string,
    call?: RepeatableCall,
  ): Promise<SigningKey> {
    const { environmentId } = identity
    const key = importSigningKey(identity, secret, sealer, seams.now())
    return await store.change(async (changes) => {
      await needEnvironment(changes, environmentId)
      const known = (await changes.listSigningKeys(environmentId)).find(({ kid }) => kid === key.kid)
      return await onceOnly(changes, call, seams.now(), {
        work: async () => {
          if (known !== undefined)
            throw new JetonError('conflict', 'A signing key with this kid is there already.')
          // A token's `kid` names one key: a secret key may sign as well.
          if ((await changes.findApiKey(key.kid))?.environmentId === environmentId)
            throw new JetonError('conflict', 'A secret key of this environment has this id.')
          await changes.insertSigningKey(key)
          return key
        },
        ids: ({ kid }) => [kid],
        again: async () => known ?? key,
      })
    })
  }
}

// The store knows that something unique is there already; here it can only be the name.
async function nameConflict<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof JetonError) || error.cause === undefined || error.error !== 'conflict') throw error
    throw new JetonError('conflict', `An environment named "${name}" is there already.`, { cause: error })
  }
}

function refuseTurn({ urls, secret }: TurnDraft): void {
  const faults = urls.flatMap((url) => {
    const fault = iceUrlFault(url)
    return fault === undefined ? [] : [`The URL ${url} ${fault}.`]
  })
  if (urls.length === 0 || urls.length > MOST_TURN_URLS)
    faults.push(`A TURN server has 1 to ${MOST_TURN_URLS} URLs.`)
  if (secret === '') faults.push('The TURN secret is empty.')
  if (faults.length === 0) return
  throw new JetonError('body_invalid', faults.join(' '), {
    issues: faults.map((message) => ({ path: 'turn', message })),
  })
}

/** All of them stand in every token: as many as one server has transports, and a few more. */
const MOST_TURN_URLS = 8

/** @throws JetonError `not_found` */
export async function needEnvironment(changes: ChangeSet, id: string): Promise<Environment> {
  const environment = await changes.findEnvironment(id)
  if (environment === undefined) throw new JetonError('not_found', 'There is no such environment.')
  return environment
}
