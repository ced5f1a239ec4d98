import { constants } from 'node:fs'
import { access, link, mkdir, open, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { errorCode } from '../domain/error-code.ts'
import type { Seams } from '../seams.ts'
import { SEALING_KEY_BYTES } from './sealing.ts'

const FILE_NAME = 'master.key'

/** A master.key that holds no master key. */
export class MasterKeyError extends Error {
  override readonly name = 'MasterKeyError'
}

/** Makes the data folder, for its owner alone, and proves that it can be written to. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  await mkdir(dirname(resolve(dataDir)), { recursive: true })
  await mkdir(dataDir, { mode: 0o700 }).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error
  })
  await access(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
}

/**
 * The master keys in the data folder, as MASTER_KEY spells them: none when none was generated, and two while the key
 * changes, the new one first.
 */
export async function readMasterKeys(dataDir: string): Promise<readonly Uint8Array[]> {
  const path = join(dataDir, FILE_NAME)
  try {
    const texts = (await readFile(path, 'utf8')).trim().split(',')
    const keys = texts.map((text) => Buffer.from(text, 'base64'))
    if (keys.every(({ length }) => length === SEALING_KEY_BYTES)) return keys
    throw new MasterKeyError(
      `${path} does not hold ${SEALING_KEY_BYTES} bytes in base64. Put the right one back.`,
    )
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}

/**
 * Generates a master key into the data folder, readable by its owner alone, and gives back what lies there then: when
 * two processes do this at once, the first one's stays.
 */
export async function generateMasterKey(dataDir: string, seams: Seams): Promise<readonly Uint8Array[]> {
  const fresh = [seams.random(SEALING_KEY_BYTES)]
  const draft = await writeDraft(dataDir, fresh, seams)
  try {
    // A link appears whole or not at all, so that nobody reads a half-written key.
    await link(draft, join(dataDir, FILE_NAME))
    return fresh
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    return await readMasterKeys(dataDir)
  } finally {
    await unlink(draft)
  }
}

/** Puts these keys in the place of the ones in the data folder, for good when it returns, and whole or not at all. */
export async function replaceMasterKeys(
  dataDir: string,
  keys: readonly Uint8Array[],
  seams: Seams,
): Promise<void> {
  await rename(await writeDraft(dataDir, keys, seams), join(dataDir, FILE_NAME))
  // Without this the file's new name may outlive a loss of power less surely than what is sealed under it.
  const folder = await open(dataDir)
  await folder.sync()
  await folder.close()
}

async function writeDraft(dataDir: string, keys: readonly Uint8Array[], seams: Seams): Promise<string> {
  const draft = join(dataDir, `${FILE_NAME}.${Buffer.from(seams.random(8)).toString('hex')}`)
  const text = keys.map((key) => Buffer.from(key).toString('base64')).join(',')
  await writeFile(draft, `${text}\n`, { mode: 0o600, flush: true })
  return draft
}
