import { constants } from 'node:fs'
import { access, link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Seams } from '../seams.ts'
import { SEALING_KEY_BYTES } from './sealing.ts'

const FILE_NAME = 'master.key'

/** Makes the data folder, for its owner alone, and proves that it can be written to. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  await mkdir(dirname(resolve(dataDir)), { recursive: true })
  await mkdir(dataDir, { mode: 0o700 }).catch((error: unknown) => {
    if (!isFileError(error, 'EEXIST')) throw error
  })
  await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
}

/** The master key that was generated into the data folder, or `undefined` when none was. */
export async function readMasterKey(dataDir: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = Buffer.from(await readFile(join(dataDir, FILE_NAME), 'utf8'), 'base64')
    if (bytes.length === SEALING_KEY_BYTES) return bytes
    throw new Error(`${join(dataDir, FILE_NAME)} does not hold ${SEALING_KEY_BYTES} bytes in base64`)
  } catch (error) {
    if (isFileError(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Generates a master key into the data folder, readable by its owner alone, and gives back the one that lies there
 * then: when two processes do this at once, the first one's stays.
 */
export async function generateMasterKey(dataDir: string, seams: Seams): Promise<Uint8Array> {
  const fresh = seams.random(SEALING_KEY_BYTES)
  const path = join(dataDir, FILE_NAME)
  const draft = `${path}.${Buffer.from(seams.random(8)).toString('hex')}`
  await writeFile(draft, `${Buffer.from(fresh).toString('base64')}\n`, { mode: 0o600, flush: true })
  try {
    // A link appears whole or not at all, so that nobody reads a half-written key.
    await link(draft, path)
    return fresh
  } catch (error) {
    if (!isFileError(error, 'EEXIST')) throw error
    return (await readMasterKey(dataDir)) ?? fresh
  } finally {
    await unlink(draft)
  }
}

function isFileError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
