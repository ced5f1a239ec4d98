import { existsSync, realpathSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { COMPANIONS, createPrivateFile, removeDatabase, sync } from './files.ts'
import { refuseUnknown, StoreError } from './migrate.ts'

/**
 * Opens a database without changing anything, a running server's included.
 *
 * @throws StoreError when there is none or it is none
 */
export function openForReading(path: string): DatabaseSync {
  if (!existsSync(path)) throw new StoreError(`There is no database ${path}. Nothing was changed.`)
  // What is not yet in the file lies beside it, and not beside a link that leads to it.
  const real = realpathSync(path)
  const url = pathToFileURL(real)
  // Where nothing lies beside the file, even a reader would put something there, and could not take it away again.
  if (!COMPANIONS.some((suffix) => existsSync(`${real}${suffix}`))) url.searchParams.set('immutable', '1')
  return asDatabase(path, () => new DatabaseSync(url, { readOnly: true, timeout: 5_000 }))
}

/** Runs `work` on a database, and says which file it is about when SQLite says that it is none. */
export function asDatabase<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof StoreError) throw error
    throw damaged(path, error)
  }
}

/**
 * Copies a database, as it stands at one moment, into one new file for its owner alone that is on the disk in full,
 * whole, and one that this program knows.
 *
 * @throws StoreError when it is not; the copy is gone then
 */
export async function copyDatabase(from: string, to: string): Promise<void> {
  const source = openForReading(from)
  try {
    createPrivateFile(to)
    // All pages in one step: in several, another process's write would begin the copy anew.
    await backup(source, to, { rate: 0x7fffffff }).catch((error: unknown) => {
      throw new StoreError(`${from} cannot be copied: ${reasonOf(error)}.`, { cause: error })
    })
    settle(to, from)
  } catch (error) {
    removeDatabase(to)
    throw error
  } finally {
    source.close()
  }
}

/** Makes one file of a database that was written to, checks it and waits until it is on the disk. */
export function settle(path: string, name = path): void {
  asDatabase(name, () => {
    const database = new DatabaseSync(path)
    try {
      database.exec('pragma journal_mode = delete')
      refuseBroken(database, 'integrity_check', name)
      refuseUnknown(migrationsOf(database))
    } finally {
      database.close()
    }
  })
  sync(path)
}

/** @throws StoreError when a page, an index or a reference is not as it must be */
export function refuseBroken(
  database: DatabaseSync,
  check: 'integrity_check' | 'quick_check',
  name: string,
): void {
  const found = database.prepare(`pragma ${check}`).all()
  const sound = found.length === 1 && Object.values(found[0] ?? {})[0] === 'ok'
  if (!sound || database.prepare('pragma foreign_key_check').get() !== undefined)
    throw damaged(name, undefined)
}

/** The names of the migrations that a database has. */
export function migrationsOf(database: DatabaseSync): string[] {
  if (!hasTable(database, 'kysely_migration')) return []
  const rows = database.prepare('select name from kysely_migration').all()
  return rows.map((row) => z.object({ name: z.string() }).parse(row).name)
}

/** Whether a database has a table of this name. */
export function hasTable(database: DatabaseSync, name: string): boolean {
  return (
    database.prepare("select 1 from sqlite_schema where type = 'table' and name = ?").get(name) !== undefined
  )
}

/** The data key as it lies in a database, or `undefined` in one that has none. */
export function sealedDataKeyOf(database: DatabaseSync): Uint8Array | undefined {
  if (!hasTable(database, 'data_key')) return undefined
  const row = database.prepare('select sealed from data_key').get()
  return row && Buffer.from(z.object({ sealed: z.string() }).parse(row).sealed, 'base64url')
}

function damaged(path: string, cause: unknown): StoreError {
  const reason = cause === undefined ? 'its integrity check fails' : reasonOf(cause)
  return new StoreError(`${path} is no whole database: ${reason}.`, { cause })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
