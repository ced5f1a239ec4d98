import { JetonError } from '../domain/errors.ts'
import type { Grant } from '../domain/grant.ts'
import { endOf, isAlive, MOST_GRACE_SECONDS } from '../domain/key-life.ts'
import { lastEndOf, revokedUpTo } from '../formats/revocation.ts'
import type { Seams } from '../seams.ts'
import type { Access, ApiKey, ApiKeyChange, ChangeSet, Environment, Store } from '../store/store.ts'
import { generateApiKey, type MadeKey, type NewKey } from './api-keys.ts'
import { needEnvironment } from './environments.ts'
import { onceOnly, type RepeatableCall } from './idempotency.ts'
import { misfit, refuseLaterEnd, refuseMisfit, refuseNameInUse } from './key-rules.ts'
import { forLocalSigning } from './local-signing.ts'
import type { Sealer } from './sealing.ts'

/** What a new key is to carry, checked. */
export interface KeyDraft {
  readonly kind: ApiKey['kind']
  readonly name?: string | undefined
  readonly grant?: Grant | undefined
  readonly access?: Access | undefined
  /** Unix milliseconds. */
  readonly expiresAt?: number | undefined
  /** Lets the holder of a secret key sign channels tokens by itself; its text is then kept too, sealed. */
  readonly localSigning?: boolean | undefined
}

/** A secret and a publishable key that were made together. */
export interface MadePair {
  readonly secret: MadeKey
  readonly publishable: MadeKey
}

/** What is to become of a leaked key. */
export interface LeakResponse {
  readonly action: 'revoke' | 'rotate'
  readonly graceSeconds: number
  /** Whether what it has minted and signed so far ends as well. */
  readonly tokens?: boolean | undefined
}

/** What became of a leaked key, and the key in its place if it was rotated. */
export interface LeakOutcome {
  readonly key: ApiKey
  readonly successor: MadeKey | undefined
}

/** Created → (expiring) → revoked: what changes secret and publishable keys. An ended key stays listed. */
export interface KeyLives {
  /**
   * @throws JetonError `not_found` for the environment, `body_invalid` for what this kind cannot carry, `conflict` for a
   *   name that a living key of the environment has
   */
  create(environmentId: string, draft: KeyDraft, call?: RepeatableCall): Promise<MadeKey>
  /**
   * Members that are left out stay as they are; `undefined` takes one away.
   *
   * @throws JetonError `not_found`, `body_invalid` for what its kind cannot carry, `conflict` when it has ended, for a
   *   name that another living key has, and for a later end of a key that was rotated
   */
  update(id: string, change: Pick<ApiKeyChange, 'name' | 'grant' | 'access' | 'expiresAt'>): Promise<ApiKey>
  /**
   * Ends a key at once. Ending one that has ended already is no error.
   *
   * @param options.tokens whether what it has minted and signed so far ends with it
   * @throws JetonError `not_found`, `body_invalid` for the tokens of a publishable key, which has none
   */
  revoke(id: string, options?: { tokens?: boolean }): Promise<ApiKey>
  /**
   * Makes a successor that carries what the key carried, its name and its own end included, and ends the key: at once,
   * or after a grace that never pushes an earlier end out.
   *
   * @throws JetonError `not_found`, or `conflict` when the key has ended or was rotated already: of two rotations at
   *   the same moment one makes the successor
   */
  rotate(id: string, graceSeconds?: number, call?: RepeatableCall): Promise<MadeKey>
  /**
   * Ends a leaked key in one step: revoked at once, or rotated with grace, with its tokens of so far if that is asked.
   * It stays flagged as exposed.
   *
   * @throws JetonError as `revoke` and `rotate`
   */
  reportLeak(id: string, how: LeakResponse, call?: RepeatableCall): Promise<LeakOutcome>
  /**
   * Rotates the two keys that were made with the environment, or those that took their place. One that has ended gets a
   * successor as well, so that the pair is whole again.
   *
   * @throws JetonError `not_found`, or `conflict` when another rotation of the pair came in between
   */
  rotatePair(environmentId: string, graceSeconds?: number, call?: RepeatableCall): Promise<MadePair>
}

interface KeyLivesDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly seams: Seams
}

export function createKeyLives({ store, sealer, seams }: KeyLivesDeps): KeyLives {
  return { create, update, revoke, rotate, reportLeak, rotatePair }

  function create(
    environmentId: string,
    { kind, localSigning = false, ...carried }: KeyDraft,
    call?: RepeatableCall,
  ): Promise<MadeKey> {
    return store.change(async (changes) => {
      const environment = await needEnvironment(changes, environmentId)
      return await makeOnce(changes, call, async () => {
        // Asked in here: a call that comes again gives its result, whatever the time and the names are by then.
        refuseMisfit(kind, { ...carried, localSigning }, seams.now())
        await refuseNameInUse(changes, environmentId, carried.name, seams.now())
        return await insert(changes, generateApiKey(kind, environment, seams, carried), localSigning)
      })
    })
  }

  function update(id: string, change: Parameters<KeyLives['update']>[1]): Promise<ApiKey> {
    return store.change(async (changes) => {
      const key = await needKey(changes, id)
      const now = seams.now()
      refuseMisfit(key.kind, change, now)
      if (!isAlive(key, now)) throw new JetonError('conflict', 'The key has ended and stays as it is.')
      refuseLaterEnd(key, change)
      if (change.name !== key.name) await refuseNameInUse(changes, key.environmentId, change.name, now)
      await changes.updateApiKey(id, change)
      return { ...key, ...change }
    })
  }

  async function insert(
    changes: ChangeSet,
    generated: NewKey<ApiKey>,
    localSigning: boolean,
  ): Promise<MadeKey> {
    const made = localSigning ? forLocalSigning(generated, sealer) : generated
    await changes.insertApiKey(made.row)
    return made
  }

  function revoke(id: string, { tokens = false }: { tokens?: boolean } = {}): Promise<ApiKey> {
    return store.change(async (changes) => {
      const key = await needKey(changes, id)
      if (tokens) await endTokens(changes, key)
      if (key.revokedAt !== undefined) return key
      const change = { revokedAt: seams.now() }
      await changes.updateApiKey(id, change)
      return { ...key, ...change }
    })
  }

  function rotate(id: string, graceSeconds = 0, call?: RepeatableCall): Promise<MadeKey> {
    return store.change(async (changes) => {
      const key = await needKey(changes, id)
      return await makeOnce(changes, call, () => succeed(changes, key, graceSeconds))
    })
  }

  function reportLeak(
    id: string,
    { action, graceSeconds, tokens = false }: LeakResponse,
    call?: RepeatableCall,
  ): Promise<LeakOutcome> {
    return store.change(async (changes) => {
      const leaked = await needKey(changes, id)
      return await onceOnly<LeakOutcome>(changes, call, seams.now(), {
        work: async () => {
          const now = seams.now()
          if (tokens) await endTokens(changes, leaked)
          const successor = action === 'rotate' ? await succeed(changes, leaked, graceSeconds) : undefined
          const end = action === 'revoke' && leaked.revokedAt === undefined ? { revokedAt: now } : {}
          await changes.updateApiKey(id, { ...end, exposedAt: leaked.exposedAt ?? now })
          return { key: await needKey(changes, id), successor }
        },
        ids: ({ successor }) => (successor === undefined ? [] : [successor.row.id]),
        again: async ([successor]) => ({
          key: leaked,
          successor: successor ? await again(changes, successor) : undefined,
        }),
      })
    })
  }

  async function rotatePair(
    environmentId: string,
    graceSeconds = 0,
    call?: RepeatableCall,
  ): Promise<MadePair> {
    // Seen before the change begins: of two at the same moment, the second finds another pair in it.
    const environment = await store.findEnvironment(environmentId)
    const seen = environment === undefined ? undefined : await latestPair(store, environment)
    return await store.change(async (changes) => {
      const latest = await latestPair(changes, await needEnvironment(changes, environmentId))
      const succeedLatest = (kind: ApiKey['kind']) => {
        const key = latest[kind]?.id === seen?.[kind]?.id ? latest[kind] : undefined
        return succeed(changes, key, graceSeconds, { endedToo: true })
      }
      return await onceOnly<MadePair>(changes, call, seams.now(), {
        work: async () => ({
          secret: await succeedLatest('secret'),
          publishable: await succeedLatest('publishable'),
        }),
        ids: ({ secret, publishable }) => [secret.row.id, publishable.row.id],
        again: async ([secret, publishable]) => ({
          secret: await again(changes, secret),
          publishable: await again(changes, publishable),
        }),
      })
    })
  }

  function makeOnce(
    changes: ChangeSet,
    call: RepeatableCall | undefined,
    work: () => Promise<MadeKey>,
  ): Promise<MadeKey> {
    return onceOnly(changes, call, seams.now(), {
      work,
      ids: ({ row }) => [row.id],
      again: ([id]) => again(changes, id),
    })
  }

  async function endTokens(changes: ChangeSet, { kind, id, environmentId }: ApiKey): Promise<void> {
    if (kind === 'publishable') throw misfit('tokens', 'only a secret key has tokens')
    const now = Math.floor(seams.now() / 1000)
    const known = await changes.findRevocation(environmentId, 'key', id)
    const before = revokedUpTo(now, known?.before)
    const revocation = { kind: 'key', value: id, before, until: lastEndOf(before) } as const
    await changes.keepRevocation({ environmentId, ...revocation }, now)
  }

  async function succeed(
    changes: ChangeSet,
    key: ApiKey | undefined,
    graceSeconds: number,
    { endedToo = false }: { endedToo?: boolean } = {},
  ): Promise<MadeKey> {
    const now = seams.now()
    if (graceSeconds < 0 || graceSeconds > MOST_GRACE_SECONDS) {
      throw new JetonError('body_invalid', `graceSeconds is 0 to ${MOST_GRACE_SECONDS}.`)
    }
    const lives = key !== undefined && isAlive(key, now)
    if (key === undefined || key.successorId !== undefined || !(lives || endedToo)) {
      throw new JetonError('conflict', 'The key has ended or was rotated already.')
    }
    const environment = await needEnvironment(changes, key.environmentId)
    const { name, grant, access } = key
    const expiresAt = lives ? key.expiresAt : undefined
    // The name of one that has ended is free, and may be another's by now.
    if (!lives) await refuseNameInUse(changes, key.environmentId, name, now)
    const generated = generateApiKey(key.kind, environment, seams, { name, grant, access, expiresAt })
    const made = await insert(changes, generated, key.sealedSecret !== undefined)
    const end = lives ? endOf(key, now, graceSeconds) : {}
    await changes.updateApiKey(key.id, { ...end, successorId: made.row.id })
    return made
  }
}

type KeyReader = Pick<Store, 'findApiKey' | 'listApiKeysOf'>

/** The two keys that were made with the environment, or those that took their place. */
async function latestPair(keys: KeyReader, { id, createdAt }: Environment) {
  const made = await keys.listApiKeysOf(id, createdAt)
  const latest = (kind: ApiKey['kind']) =>
    latestOf(
      keys,
      made.find((key) => key.kind === kind),
    )
  return { secret: await latest('secret'), publishable: await latest('publishable') }
}

/** The key at the end of the line that begins with `key`. */
async function latestOf(keys: KeyReader, key: ApiKey | undefined): Promise<ApiKey | undefined> {
  if (key?.successorId === undefined) return key
  return await latestOf(keys, await keys.findApiKey(key.successorId))
}

async function again(changes: ChangeSet, id = ''): Promise<MadeKey> {
  const row = await needKey(changes, id)
  return { row, text: row.text }
}

async function needKey(changes: ChangeSet, id: string): Promise<ApiKey> {
  const key = await changes.findApiKey(id)
  if (key === undefined) throw new JetonError('not_found', 'There is no such key.')
  return key
}
