import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { onlyAbsent } from '../domain/error-code.ts'
import { findEnd } from '../journal/chain-end.ts'
import type { TakeHold } from '../journal/claim.ts'
import { LOCK_NAME, listFiles, listInstances } from '../journal/folder.ts'
import type { Store } from '../store/store.ts'
import { createChainUsage } from './chain-usage.ts'
import type { Pace } from './pace.ts'
import type { Digest } from './tally.ts'
import type { WriteSource } from './usage.ts'

/** A process that starts again soon finds its chain free, and counts it itself. */
const LEFT_ALONE_MS = 60_000

interface OtherChainsDeps {
  /** Where all chains lie. */
  readonly folder: string
  /** This process's own chain. */
  readonly own: () => string | undefined
  readonly takeHold: TakeHold
  readonly store: Pick<Store, 'usage'>
  readonly digest: Digest
  readonly pace: Pace
  /** Unix milliseconds. */
  readonly now: () => number
}

/**
 * Makes what counts the chains that nobody writes any more: of processes that were killed and never came back. Several
 * processes may do so at once, since a batch that another one has added adds nothing.
 */
export function createOtherChains(deps: OtherChainsDeps) {
  const { folder, own, takeHold, store, digest, pace, now } = deps
  /** By instance, what its newest file was like when all of it was counted. */
  const done = new Map<string, string>()
  return async (write: WriteSource): Promise<void> => {
    for (const instance of await listInstances(folder)) {
      if (instance === own()) continue
      const state = await stateOf(instance)
      if (state === undefined || state === done.get(instance)) continue
      const upTo = await endOf(instance)
      if (upTo === undefined) continue
      const standing = () => ({ instance, upTo, isHeld: false })
      if (!(await write(createChainUsage({ folder, standing, store, digest, pace, now })))) return
      done.set(instance, state)
    }
  }

  async function stateOf(instance: string): Promise<string | undefined> {
    const newest = (await listFiles(join(folder, instance))).at(-1)
    if (newest === undefined) return undefined
    const found = await stat(newest.path).catch(onlyAbsent)
    // Packed or removed since: what is there then is for the next time.
    if (found === undefined) return undefined
    const { mtimeMs, size } = found
    return now() - mtimeMs < LEFT_ALONE_MS ? undefined : `${newest.path} ${mtimeMs} ${size}`
  }

  // While somebody writes a chain, what can be read of it may not be safe yet. Once nobody does, it may be counted up to
  // here, whoever goes on with it: that one begins behind the same record.
  async function endOf(instance: string): Promise<number | undefined> {
    const hold = takeHold(join(folder, instance, LOCK_NAME))
    if (hold === undefined) return undefined
    try {
      return (await findEnd(join(folder, instance))).head.n
    } finally {
      hold.release()
    }
  }
}
