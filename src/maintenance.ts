import { statSync } from 'node:fs'
import { type Config, StartError } from './config.ts'
import type { Actor } from './domain/change-record.ts'
import { databasePath, knownMasterKeys, openExisting, refuseAbsent, toStartError } from './installation.ts'
import { resealDataKey } from './keys/data-key.ts'
import { prepareDataDir } from './keys/master-key.ts'
import { renewSigningKeys } from './keys/renew-signing-keys.ts'
import { changeGeneratedKey, sealUnderFirst } from './keys/rotate-master-key.ts'
import { SealError } from './keys/sealing.ts'
import type { SigningKeyState } from './keys/signing-key-rotation.ts'
import type { Seams } from './seams.ts'
import { backUp } from './store/backup.ts'
import { type Hold, holdShared } from './store/hold.ts'
import { type Moved, moveToPostgres } from './store/move.ts'
import { type Restored, restore } from './store/restore.ts'

/**
 * Copies the database into a file while servers go on.
 *
 * @throws StartError when it cannot be done; nothing was changed then
 */
export async function backUpInstallation(
  config: Config,
  file: string,
  { force, seams }: { readonly force: boolean; readonly seams: Seams },
): Promise<void> {
  refusePostgres(config)
  refuseAbsent(config)
  const mark = Buffer.from(seams.random(8)).toString('hex')
  let held: Hold | undefined
  try {
    held = holdShared(databasePath(config))
    await backUp(databasePath(config), file, { force, mark })
  } catch (error) {
    throw toStartError(error, config)
  } finally {
    held?.release()
  }
}

// What PostgreSQL keeps is put back by its own programs; docs/operations.md says how.
function refusePostgres({ databaseUrl }: Config): void {
  if (databaseUrl === undefined) return
  throw new StartError(
    'The database is a PostgreSQL: back it up with pg_dump and put it back with pg_restore, as docs/operations.md says. Nothing was changed.',
  )
}

/** What a change needs, and who makes it. */
export interface OnBehalf {
  readonly seams: Seams
  readonly actor: Actor
}

/** What a restore did to an installation. */
export interface RestoredInstallation extends Restored {
  /** New signing keys, for environments that had none left of an algorithm that signs. */
  readonly renewed: readonly SigningKeyState[]
}

/**
 * Puts a backup in the place of the database, whole or not at all, and sees to it that every environment can sign.
 *
 * @throws StartError when it cannot be done; nothing was changed then, or a second restore ends what this one began
 */
export async function restoreInstallation(
  config: Config,
  file: string,
  { seams, actor }: OnBehalf,
): Promise<RestoredInstallation> {
  const restored = await putInPlace(config, file, { seams, actor })
  return { ...restored, renewed: await renew(config, { seams, actor }) }
}

async function putInPlace(config: Config, file: string, { seams, actor }: OnBehalf): Promise<Restored> {
  refusePostgres(config)
  try {
    await prepareDataDir(config.dataDir)
    const masterKeys = await knownMasterKeys(config)
    if (masterKeys.length === 0) {
      throw new StartError(
        'There is no master key: set MASTER_KEY to the one that the backup was made under.',
      )
    }
    return await restore(databasePath(config), file, {
      reseal: (sealed) => resealDataKey(sealed, masterKeys, seams),
      now: seams.now,
      actor,
    })
  } catch (error) {
    if (!(error instanceof SealError)) throw toStartError(error, config)
    const message = `${file} is sealed under another master key. Put that one behind the present one: MASTER_KEY=present,other. Nothing was changed.`
    throw new StartError(message, { cause: error })
  }
}

// The database that was replaced may tell that a key has ended, and no longer which one took its place.
async function renew(config: Config, { seams, actor }: OnBehalf): Promise<readonly SigningKeyState[]> {
  const { store, signingKeyRotation, close } = await openExisting(config, seams, actor)
  try {
    return await renewSigningKeys({ store, signingKeyRotation, seams })
  } finally {
    await close()
  }
}

/**
 * Moves an installation from its embedded database to an empty PostgreSQL, whole or not at all. The embedded one stays as
 * it is.
 *
 * @param from the data folder, or the file of a database or of a backup
 * @throws StartError when it cannot be done; nothing was changed then, unless the message says that it may have been
 */
export async function moveInstallation(
  from: string,
  databaseUrl: string,
  { seams, actor }: OnBehalf,
): Promise<Moved> {
  try {
    const isFolder = statSync(from, { throwIfNoEntry: false })?.isDirectory() ?? false
    const path = isFolder ? databasePath({ dataDir: from }) : from
    return await moveToPostgres(path, databaseUrl, { now: seams.now, actor: () => actor })
  } catch (error) {
    throw toStartError(error, { dataDir: from, databaseUrl })
  }
}

/** What changing the master key came to. */
export type MasterKeyChange = 'resealed' | 'sealed_already' | 'generated'

/**
 * Seals the data key under the first key of MASTER_KEY or, where none is configured, under a new one that it generates
 * into the data folder. Running servers go on.
 *
 * @throws StartError when there is no second key to change from, or none opens the database
 */
export async function rotateMasterKey(config: Config, { seams, actor }: OnBehalf): Promise<MasterKeyChange> {
  const { masterKeys, dataDir } = config
  if (masterKeys.length === 1) {
    throw new StartError(
      'MASTER_KEY holds one key. Put a new one in front of it, with a comma between: MASTER_KEY=new,old. `jeton secrets create` prints a new one.',
    )
  }
  const { store, close } = await openExisting(config, seams, actor)
  try {
    if (masterKeys.length > 1) {
      return (await sealUnderFirst(store, masterKeys, seams)) ? 'resealed' : 'sealed_already'
    }
    await changeGeneratedKey(store, dataDir, seams)
    return 'generated'
  } catch (error) {
    throw toStartError(error, config)
  } finally {
    await close()
  }
}
