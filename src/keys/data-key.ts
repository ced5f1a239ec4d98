import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import { createSealer, SEALING_KEY_BYTES, SealError, type Sealer } from './sealing.ts'

const CONTEXT = 'data_key'

/**
 * Prepares the store and opens the data key, which seals everything secret in it and is itself sealed under the
 * master key, so that a master key can change without a second look at anything else. The first process at a new
 * database makes the data key.
 *
 * @param masterKeys SEALING_KEY_BYTES bytes each; the first one seals, each may open
 * @throws SealError when the database is sealed under another master key; nothing is changed then
 */
export async function openDataKey(
  store: Store,
  masterKeys: readonly Uint8Array[],
  seams: Seams,
): Promise<Sealer> {
  const sealed = await store.sealedDataKey()
  const dataKey = sealed === undefined ? undefined : unseal(sealed, masterKeys, seams).dataKey
  await store.prepare()
  return createSealer(dataKey ?? (await makeDataKey(store, masterKeys, seams)), seams.random)
}

/**
 * The sealed data key as the first master key seals it: the very same bytes when it does so already.
 *
 * @throws SealError when none of the master keys opens it
 */
export function resealDataKey(
  sealed: Uint8Array,
  masterKeys: readonly Uint8Array[],
  seams: Seams,
): Uint8Array {
  const { dataKey, masterKey } = unseal(sealed, masterKeys, seams)
  return masterKey === masterKeys[0] ? sealed : sealerOf(masterKeys, seams).seal(dataKey, CONTEXT)
}

/**
 * The one of the master keys that opens the sealed data key.
 *
 * @throws SealError when none does
 */
export function masterKeyOf(sealed: Uint8Array, masterKeys: readonly Uint8Array[], seams: Seams): Uint8Array {
  return unseal(sealed, masterKeys, seams).masterKey
}

async function makeDataKey(
  store: Store,
  masterKeys: readonly Uint8Array[],
  seams: Seams,
): Promise<Uint8Array> {
  const fresh = sealerOf(masterKeys, seams).seal(seams.random(SEALING_KEY_BYTES), CONTEXT)
  // Another process may have been first; its key is the one that counts.
  const kept = await store.change((changes) => changes.keepDataKey(fresh))
  return unseal(kept, masterKeys, seams).dataKey
}

function sealerOf([first]: readonly Uint8Array[], seams: Seams): Sealer {
  if (first === undefined) throw new Error('There is no master key to seal with')
  return createSealer(first, seams.random)
}

function unseal(sealed: Uint8Array, masterKeys: readonly Uint8Array[], seams: Seams) {
  let cause: unknown
  for (const masterKey of masterKeys) {
    try {
      return { masterKey, dataKey: createSealer(masterKey, seams.random).open(sealed, CONTEXT) }
    } catch (error) {
      cause = error
    }
  }
  throw new SealError('None of the master keys opens the data key', { cause })
}
