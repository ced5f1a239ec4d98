import { constants, stat } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { errorCode } from '../domain/error-code.ts'

// Asked with every batch, and this one costs half of what that of node:fs/promises does.
const statusOf = promisify(stat)

/** What a file is, whatever it is called. */
export interface Identity {
  readonly dev: number
  readonly ino: number
  /** In bytes. */
  readonly size: number
}

/** A file that was begun here and that only grows. */
export interface OpenFile {
  /**
   * Writes at its end, comes back once that is on the disk, and says how many bytes of these it took.
   *
   * @throws Error when it is not known to be on the disk, of which a part may be in the file
   */
  write(bytes: Uint8Array): Promise<number>
  identity(): Promise<Identity>
  close(): Promise<void>
}

/** As much of a file system as a journal writes to: a test hands one in that fails. */
export interface Disk {
  /** Begins a file that is not there yet, for its owner alone. */
  create(path: string): Promise<OpenFile>
  /** What lies at a path. */
  identity(path: string): Promise<Identity>
  /** Makes a folder for its owner alone, unless it is there; the folder around it must be. */
  makeFolder(path: string): Promise<void>
  /** Comes back once the names in a folder are on the disk. */
  syncFolder(path: string): Promise<void>
  /** Waits until a file that an earlier process wrote is on the disk. */
  syncFile(path: string): Promise<void>
  remove(path: string): Promise<void>
}

const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND, O_DSYNC } = constants
const BEGIN = O_WRONLY | O_CREAT | O_EXCL | O_APPEND

/** The real one. Everything goes through Node's thread pool, so that the event loop never waits for the disk. */
export const systemDisk: Disk = {
  create: process.platform === 'linux' ? createThrough : createSynced,
  identity: (path) => statusOf(path),
  async makeFolder(path) {
    try {
      await mkdir(path, { mode: 0o700 })
    } catch (error) {
      if (errorCode(error) === 'EEXIST') return
      throw error
    }
    await syncPath(dirname(path))
  },
  syncFolder: syncPath,
  syncFile: (path) => syncPath(path),
  remove: (path) => rm(path, { force: true }),
}

/**
 * Begins a file whose writes wait for the disk by themselves: Linux promises the same of O_DSYNC as of an fdatasync behind
 * every write (open(2), after POSIX's synchronized I/O data integrity completion), for one way through the thread pool
 * instead of two.
 */
async function createThrough(path: string): Promise<OpenFile> {
  const handle = await open(path, BEGIN | O_DSYNC, 0o600)
  return fileOf(handle, async (bytes) => (await handle.write(bytes)).bytesWritten)
}

/** The same where O_DSYNC promises less, as on macOS, or is not there. */
export async function createSynced(path: string): Promise<OpenFile> {
  const handle = await open(path, BEGIN, 0o600)
  return fileOf(handle, async (bytes) => {
    const { bytesWritten } = await handle.write(bytes)
    await handle.datasync()
    return bytesWritten
  })
}

// A FileHandle and no bare descriptor: its close waits for what is still being written.
function fileOf(handle: FileHandle, write: OpenFile['write']): OpenFile {
  return { write, identity: () => handle.stat(), close: () => handle.close() }
}

/** Comes back once the names in a folder, or what a file holds, are on the disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
