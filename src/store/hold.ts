import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createPrivateFile } from './files.ts'
import { StoreError } from './migrate.ts'
import { isBusy } from './open-sqlite.ts'

/** Lies beside a database that was opened. */
export const FILE_NAME = 'jeton.lock'

const TAKE_ALONE = 'pragma journal_mode = memory; begin exclusive'

/** Long enough for a restore to end. */
const PATIENCE_MS = 5_000

/** Keeps a database's file from being replaced, or from being opened, until it is let go. */
export interface Hold {
  release(): void
}

/**
 * Says that this process has the database open, as any number of processes may. Whoever opens it needs this first.
 *
 * Node has no lock on files. SQLite has one, which the kernel takes away when its process ends, however that ends: an
 * open read transaction on an empty database beside the real one. The real one will not do, since a restore replaces
 * its file, and a lock on a file that was replaced holds nobody.
 *
 * @throws StoreError while a restore is under way
 */
export function holdShared(databasePath: string): Hold {
  return hold(databasePath, PATIENCE_MS, 'begin; select count(*) from sqlite_schema', (cause) => {
    const message = `A restore is under way in ${dirname(databasePath)}. Try again when it has ended.`
    return new StoreError(message, { cause })
  })
}

/**
 * Says that this process alone may open the database.
 *
 * @throws StoreError when another one has it open
 */
export function holdAlone(databasePath: string): Hold {
  return hold(databasePath, 0, TAKE_ALONE, (cause) => {
    const message = `A Jeton has ${dirname(databasePath)} open: stop it first. Nothing was changed.`
    return new StoreError(message, { cause })
  })
}

/** Holds a file that nothing else is kept in, for this process alone; `undefined` when another one does. */
export function holdIfFree(path: string): Hold | undefined {
  try {
    return holdFile(path, 0, TAKE_ALONE)
  } catch (error) {
    if (isBusy(error)) return undefined
    throw error
  }
}

function hold(databasePath: string, timeout: number, take: string, refusal: (cause: unknown) => Error): Hold {
  try {
    return holdFile(join(dirname(databasePath), FILE_NAME), timeout, take)
  } catch (error) {
    throw isBusy(error) ? refusal(error) : error
  }
}

function holdFile(path: string, timeout: number, take: string): Hold {
  createPrivateFile(path)
  const lock = new DatabaseSync(path, { timeout })
  try {
    lock.exec(take)
  } catch (error) {
    lock.close()
    throw error
  }
  return { release: () => lock.close() }
}
