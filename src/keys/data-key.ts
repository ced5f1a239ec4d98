import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import { createSealer, SEALING_KEY_BYTES, type Sealer } from './sealing.ts'

const CONTEXT = 'data_key'

/**
 * Prepares the store and opens the data key, which seals everything secret in it and is itself sealed under the
 * master key, so that a master key can change without a second look at anything else. The first process at a new
 * database makes the data key.
 *
 * @param masterKey SEALING_KEY_BYTES bytes
 * @throws SealError when the database is sealed under another master key; nothing is changed then
 */
export async function openDataKey(store: Store, masterKey: Uint8Array, seams: Seams): Promise<Sealer> {
  const master = createSealer(masterKey, seams.random)
  const sealed = await store.sealedDataKey()
  const dataKey = sealed === undefined ? undefined : master.open(sealed, CONTEXT)
  await store.prepare()
  return createSealer(dataKey ?? (await makeDataKey(store, master, seams)), seams.random)
}

async function makeDataKey(store: Store, master: Sealer, seams: Seams): Promise<Uint8Array> {
  const fresh = master.seal(seams.random(SEALING_KEY_BYTES), CONTEXT)
  // Another process may have been first; its key is the one that counts.
  const kept = await store.change((changes) => changes.keepDataKey(fresh))
  return master.open(kept, CONTEXT)
}
