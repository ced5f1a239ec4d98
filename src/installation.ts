import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Actors, createActors } from './actors.ts'
import { type Config, StartError } from './config.ts'
import type { Actor } from './domain/change-record.ts'
import { JetonError } from './domain/errors.ts'
import { openDataKey } from './keys/data-key.ts'
import { createEnvironments, type Environments } from './keys/environments.ts'
import { createKeyLives, type KeyLives } from './keys/key-lives.ts'
import { generateMasterKey, MasterKeyError, prepareDataDir, readMasterKeys } from './keys/master-key.ts'
import { SealError, type Sealer } from './keys/sealing.ts'
import { createSigningKeyExport, type SigningKeyExport } from './keys/signing-key-export.ts'
import { createSigningKeyRotation, type SigningKeyRotation } from './keys/signing-key-rotation.ts'
import type { Seams } from './seams.ts'
import type { Witness } from './store/change-records.ts'
import { holdShared } from './store/hold.ts'
import { StoreError } from './store/migrate.ts'
import { openSqlite } from './store/open-sqlite.ts'
import { readSqliteRecords } from './store/read-records.ts'
import type { ChangeRecords, Store } from './store/store.ts'

/** What the command line works with: the store and what changes it. */
export interface Installation {
  readonly store: Store
  readonly sealer: Sealer
  readonly environments: Environments
  readonly keyLives: KeyLives
  readonly signingKeyRotation: SigningKeyRotation
  readonly signingKeyExport: SigningKeyExport
  /** On whose behalf changes are recorded. */
  readonly actors: Actors
  close(): Promise<void>
}

/**
 * Opens the store that the configuration names.
 *
 * @param own who this process is in the records of what it changes by itself
 * @throws StartError when it cannot be used; nothing was changed then
 */
export async function openInstallation(
  config: Config,
  seams: Seams,
  own: Actor = { by: 'server' },
): Promise<Installation> {
  return await open(config, seams, { mayBegin: true, own })
}

/**
 * Opens a store that is there, where a mistyped folder or URL must not become a new installation.
 *
 * @param own who this process is in the records of what it changes by itself
 * @throws StartError when there is none, or when it cannot be used; nothing was changed then
 */
export async function openExisting(config: Config, seams: Seams, own: Actor): Promise<Installation> {
  if (config.databaseUrl === undefined) refuseAbsent(config)
  return await open(config, seams, { mayBegin: false, own })
}

/** @throws StartError when there is no database in the data folder */
export function refuseAbsent(config: Pick<Config, 'dataDir'>): void {
  if (isThere(databasePath(config), config.dataDir)) return
  const folder = resolve(config.dataDir)
  throw new StartError(
    `There is no database in ${folder}: set DATA_DIR to where yours is, or begin one with \`jeton environments create\`. Nothing was changed.`,
  )
}

// A folder that may not be looked into is not an empty one.
function isThere(path: string, dataDir: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw toStartError(error, { dataDir, databaseUrl: undefined })
  }
}

interface Opening {
  readonly mayBegin: boolean
  readonly own: Actor
}

async function open(config: Config, seams: Seams, opening: Opening): Promise<Installation> {
  try {
    await prepareDataDir(config.dataDir)
    return await openServices(config, seams, opening)
  } catch (error) {
    throw toStartError(error, config)
  }
}

async function openServices(config: Config, seams: Seams, { mayBegin, own }: Opening): Promise<Installation> {
  const { databaseUrl } = config
  const actors = createActors(own)
  const witness = { now: seams.now, actor: actors.current }
  const store =
    databaseUrl === undefined
      ? openHeld(databasePath(config), witness)
      : await openServer(databaseUrl, witness)
  try {
    if (!mayBegin && databaseUrl !== undefined) await refuseEmpty(store)
    const sealer = await openSealer(config, store, seams)
    const environments = createEnvironments({ store, sealer, seams })
    const keyLives = createKeyLives({ store, sealer, seams })
    const { staleKeysSeconds } = config
    const signingKeyRotation = createSigningKeyRotation({ store, sealer, seams, staleKeysSeconds })
    const signingKeyExport = createSigningKeyExport({ store, sealer, seams })
    const close = () => store.close()
    return { store, sealer, environments, keyLives, signingKeyRotation, signingKeyExport, actors, close }
  } catch (error) {
    await store.close()
    throw error
  }
}

async function refuseEmpty(store: Store): Promise<void> {
  if ((await store.sealedDataKey()) !== undefined) return
  throw new StartError(
    'There is no Jeton in the database that DATABASE_URL names: set it to where yours is, or begin one with `jeton environments create`. Nothing was changed.',
  )
}

// The key in the data folder may change between the look at it and the look at the database; then it is another one
// at the next look. One that stays the same and does not open the database is the wrong one.
async function openSealer(config: Config, store: Store, seams: Seams): Promise<Sealer> {
  let keys = await findMasterKeys(config, store, seams)
  for (;;) {
    try {
      return await openDataKey(store, keys, seams)
    } catch (error) {
      const again = await findMasterKeys(config, store, seams)
      if (!(error instanceof SealError) || sameKeys(keys, again)) throw error
      keys = again
    }
  }
}

function sameKeys(some: readonly Uint8Array[], others: readonly Uint8Array[]): boolean {
  return Buffer.concat(some).equals(Buffer.concat(others))
}

/** Where the embedded database lies. */
export function databasePath({ dataDir }: Pick<Config, 'dataDir'>): string {
  return join(dataDir, 'jeton.db')
}

// Its driver is loaded where it is wanted, and by nobody else.
async function openServer(url: string, witness: Witness): Promise<Store> {
  const { openPostgres } = await import('./store/open-postgres.ts')
  return await openPostgres(url, { witness })
}

// As long as it is open, nobody may put another database in its place.
function openHeld(path: string, witness: Witness): Store {
  const held = holdShared(path)
  try {
    const store = openSqlite(path, { witness })
    return { ...store, close: () => store.close().finally(held.release) }
  } catch (error) {
    held.release()
    throw error
  }
}

async function findMasterKeys(config: Config, store: Store, seams: Seams): Promise<readonly Uint8Array[]> {
  const { dataDir } = config
  const known = await knownMasterKeys(config)
  if (known.length > 0) return known
  if ((await store.sealedDataKey()) === undefined) return await generateMasterKey(dataDir, seams)
  // Another process may have made both between the two looks.
  const made = await knownMasterKeys(config)
  if (made.length > 0) return made
  // A new key would not open what is there: better to say that the old one is missing.
  throw new StartError(
    `${placeOf(config)} is sealed, and its master key is missing: set MASTER_KEY or put master.key ${config.databaseUrl === undefined ? 'back' : `into ${dataDir}`}. Nothing was changed.`,
  )
}

/**
 * Opens the records of changes alone, to be read: without a master key, and whatever else has the database open.
 *
 * @returns `undefined` where there is no database
 * @throws StartError when it cannot be read, as may whatever is asked of it
 */
export async function openChangeRecords(config: Config): Promise<ChangeRecords | undefined> {
  const { databaseUrl } = config
  const explain = (error: unknown) => toStartError(error, config)
  if (databaseUrl === undefined) return await readSqliteRecords(databasePath(config), explain)
  const { readPostgresRecords } = await import('./store/read-postgres-records.ts')
  return await readPostgresRecords(databaseUrl, explain)
}

/** The master keys that are configured, or else those that lie in the data folder. */
export async function knownMasterKeys({
  masterKeys,
  dataDir,
}: Pick<Config, 'masterKeys' | 'dataDir'>): Promise<readonly Uint8Array[]> {
  return masterKeys.length > 0 ? masterKeys : await readMasterKeys(dataDir)
}

/** What an operator can mend becomes a StartError; the rest stays as it is. */
export function toStartError(error: unknown, config: Pick<Config, 'dataDir' | 'databaseUrl'>): unknown {
  if (error instanceof SealError) {
    const place = placeOf(config).replace(/^The/, 'the')
    const message = `MASTER_KEY (or master.key) does not open ${place}: it is sealed under another one. Nothing was changed.`
    return new StartError(message, { cause: error })
  }
  if (error instanceof MasterKeyError) return new StartError(error.message, { cause: error })
  if (error instanceof StoreError) return new StartError(error.message, { cause: error })
  if (error instanceof JetonError && error.error === 'store_unavailable') {
    return new StartError(error.message, { cause: error })
  }
  if (error instanceof Error && 'syscall' in error) {
    return new StartError(`DATA_DIR ${config.dataDir} cannot be used: ${error.message}`, { cause: error })
  }
  return error
}

function placeOf({ dataDir, databaseUrl }: Pick<Config, 'dataDir' | 'databaseUrl'>): string {
  return databaseUrl === undefined ? `The database in ${dataDir}` : 'The database that DATABASE_URL names'
}
