import { ownKeys, signingKeyAt } from '../domain/signing-period.ts'
import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import type { SigningKeyRotation, SigningKeyState } from './signing-key-rotation.ts'

interface RenewalDeps {
  readonly store: Store
  readonly signingKeyRotation: SigningKeyRotation
  readonly seams: Seams
}

/**
 * Gives every environment a key that signs, for each algorithm of which it has own keys and none that may. What has
 * ended stays ended.
 *
 * @returns the new ones, or successors that waited and sign now
 */
export async function renewSigningKeys({
  store,
  signingKeyRotation,
  seams,
}: RenewalDeps): Promise<readonly SigningKeyState[]> {
  const renewed: SigningKeyState[] = []
  for (const { id } of await store.listEnvironments()) {
    const keys = (await store.listSigningKeys(id)).filter(({ format }) => format === undefined)
    for (const algorithm of new Set(keys.map((key) => key.algorithm))) {
      if (signingKeyAt(ownKeys(keys, algorithm), seams.now()) !== undefined) continue
      renewed.push((await signingKeyRotation.rotate(id, algorithm, { immediately: true })).key)
    }
  }
  return renewed
}
