import { closeSync, existsSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { JetonError } from '../domain/errors.ts'

/** What SQLite puts beside a database. */
export const COMPANIONS = ['-wal', '-shm', '-journal'] as const

/**
 * Makes an empty file for its owner alone, unless one is there: SQLite gives its files the umask's mode, and those
 * beside the database the database's own.
 */
export function createPrivateFile(path: string): void {
  // Only what is new is opened: closing any handle on a file takes this process's locks off it (POSIX), SQLite's too.
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600))
}

/**
 * Makes what throws when a database's file is no longer the one that lies there now. SQLite goes on with one that was
 * removed or replaced, as the system lets it, and everything is gone with the process.
 */
export function createPlaceCheck(path: string): () => void {
  const { dev, ino } = statSync(path)
  return () => {
    try {
      const found = statSync(path)
      if (found.dev !== dev || found.ino !== ino)
        throw new Error(`Another file was put in the place of ${path}`)
    } catch (cause) {
      throw new JetonError('store_unavailable', 'The database is not in its place any more.', { cause })
    }
  }
}

/** Removes a database with all that lies beside it. */
export function removeDatabase(path: string): void {
  for (const suffix of ['', ...COMPANIONS]) rmSync(`${path}${suffix}`, { force: true })
}

/** Waits until a file, or the names in a folder, are on the disk. */
export function sync(path: string): void {
  const handle = openSync(path, 'r')
  fsyncSync(handle)
  closeSync(handle)
}

/** Waits until the name of a file is on the disk. */
export function syncName(path: string): void {
  sync(dirname(path))
}
