import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import { masterKeyOf, resealDataKey } from './data-key.ts'
import { readMasterKeys, replaceMasterKeys } from './master-key.ts'
import { SEALING_KEY_BYTES } from './sealing.ts'

/**
 * Seals the data key under the first of these master keys. Running servers hold the data key itself, and go on.
 *
 * @returns whether anything had to change
 * @throws SealError when none of them opens it
 */
export async function sealUnderFirst(
  store: Store,
  masterKeys: readonly Uint8Array[],
  seams: Seams,
): Promise<boolean> {
  let changed = false
  await store.changeDataKey(async (sealed) => {
    const resealed = resealDataKey(sealed, masterKeys, seams)
    changed = resealed !== sealed
    return resealed
  })
  return changed
}

/**
 * Changes the master key in the data folder for a new one, or finishes a change that was cut short. The file holds
 * both keys from before the database changes until after it has, so that it opens the database at every moment. It is
 * read and written while the database's write lock is held: two changes at once come one after the other.
 *
 * @throws SealError when the file's key does not open the database
 */
export async function changeGeneratedKey(store: Store, dataDir: string, seams: Seams): Promise<void> {
  await store.changeDataKey(async (sealed) => {
    const known = await readMasterKeys(dataDir)
    masterKeyOf(sealed, known, seams)
    const keys = known.length > 1 ? known : [seams.random(SEALING_KEY_BYTES), ...known]
    if (keys !== known) await replaceMasterKeys(dataDir, keys, seams)
    return resealDataKey(sealed, keys, seams)
  })
  await store.changeDataKey(async (sealed) => {
    const keys = await readMasterKeys(dataDir)
    const inUse = masterKeyOf(sealed, keys, seams)
    if (keys.length > 1) await replaceMasterKeys(dataDir, [inUse], seams)
    return sealed
  })
}
