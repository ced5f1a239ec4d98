import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import type { Actor } from '../domain/change-record.ts'
import { carryOver, type Ended, type Exposed, type Gone, type Kept } from './carry-over.ts'
import { carryRecords, restoreNotes, writeRecordInto } from './carry-records.ts'
import { COMPANIONS, removeDatabase, syncName } from './files.ts'
import { holdAlone } from './hold.ts'
import { StoreError } from './migrate.ts'
import { openDatabase, openSqlite } from './open-sqlite.ts'
import { type Replaced, readReplaced, revisionOf } from './replaced.ts'
import { asDatabase, copyDatabase, sealedDataKeyOf, settle } from './sqlite-file.ts'

/**
 * The data key as the present master key seals it.
 *
 * @throws when no master key opens it
 */
export type Reseal = (sealed: Uint8Array) => Uint8Array

interface RestoreOptions {
  readonly reseal: Reseal
  /** Unix milliseconds. */
  readonly now: () => number
  /** Who restores. */
  readonly actor: Actor
}

/** What a restore did. */
export interface Restored {
  readonly revision: number
  /** `damaged`: it did not tell everything, and its file was kept beside the new one. */
  readonly replaced: 'nothing' | 'whole' | 'damaged'
  /** What had ended since the backup, and has ended again. */
  readonly ended: readonly Ended[]
  /** Keys that were exposed since the backup, and stay flagged. */
  readonly exposed: readonly Exposed[]
  /** Keys that took the place of others since the backup, and stay. */
  readonly kept: readonly Kept[]
  /** What was made after the backup, and is gone. */
  readonly vanished: readonly Gone[]
  /** How many revocations of tokens were made since the backup, and count again. */
  readonly revocations: number
}

/**
 * Puts a backup in the place of the database. All of it is made ready beside the database and then renamed over it, so
 * that there is the old one or the new one, whole, whenever this is cut short.
 *
 * @throws StoreError while another process has the database open, and for what is no backup for this program; or what
 *   `reseal` throws. Nothing was changed then
 */
export async function restore(
  databasePath: string,
  file: string,
  { reseal, now, actor }: RestoreOptions,
): Promise<Restored> {
  const held = holdAlone(databasePath)
  try {
    // Nobody else is here, so that this name is ours, and what lies there was left by a restore that was cut short.
    const draft = `${databasePath}.restoring`
    removeDatabase(draft)
    try {
      return await replace(databasePath, draft, file, { reseal, now, actor })
    } finally {
      removeDatabase(draft)
    }
  } finally {
    held.release()
  }
}

async function replace(
  databasePath: string,
  draft: string,
  file: string,
  { reseal, now, actor }: RestoreOptions,
): Promise<Restored> {
  await copyDatabase(file, draft)
  const sealed = resealed(draft, file, reseal)
  await bringUpToDate(draft)
  const replaced = readReplaced(databasePath)
  const told = replaced === undefined ? 'nothing' : replaced.whole ? 'whole' : 'damaged'
  const carried = writeInto(draft, { sealed, replaced, told, at: now(), actor })
  settle(draft)
  if (replaced !== undefined && !replaced.whole) keepDamaged(databasePath)
  if (replaced === undefined) clearCompanions(databasePath)
  renameSync(draft, databasePath)
  syncName(databasePath)
  return { ...carried, replaced: told }
}

async function bringUpToDate(draft: string): Promise<void> {
  const store = openSqlite(draft)
  try {
    await store.prepare()
  } finally {
    await store.close()
  }
}

function resealed(draft: string, file: string, reseal: Reseal): Uint8Array {
  const database = openDatabase(draft)
  try {
    const sealed = asDatabase(file, () => sealedDataKeyOf(database))
    if (sealed === undefined) throw new StoreError(`${file} is no backup of a Jeton.`)
    return reseal(sealed)
  } finally {
    database.close()
  }
}

interface Writing {
  readonly sealed: Uint8Array
  readonly replaced: Replaced | undefined
  readonly told: Restored['replaced']
  readonly at: number
  readonly actor: Actor
}

function writeInto(draft: string, { sealed, replaced, told, at, actor }: Writing) {
  const database = openDatabase(draft)
  try {
    database.exec('begin immediate')
    database.prepare('update data_key set sealed = ?').run(Buffer.from(sealed).toString('base64url'))
    const backup = revisionOf(database)
    const carried = carryOver(database, replaced, at)
    const { count, leftBehind } = carryRecords(database, replaced)
    const set = {
      backup: { revision: backup },
      replaced: { state: told, revision: replaced?.revision },
      records: { carried: count, leftBehind },
      revocations: carried.revocations,
    }
    const { revision } = carried
    writeRecordInto(database, { revision, at, actor, changes: restoreNotes({ set, ...carried }) })
    database.exec('commit')
    return carried
  } finally {
    database.close()
  }
}

// What lies beside a damaged database may hold its last transactions, and would be read into the new one.
function keepDamaged(databasePath: string): void {
  copyFileSync(databasePath, `${databasePath}.damaged`)
  for (const suffix of COMPANIONS) {
    if (existsSync(`${databasePath}${suffix}`)) {
      renameSync(`${databasePath}${suffix}`, `${databasePath}.damaged${suffix}`)
    }
  }
}

function clearCompanions(databasePath: string): void {
  for (const suffix of COMPANIONS) rmSync(`${databasePath}${suffix}`, { force: true })
}
