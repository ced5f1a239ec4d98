import { join } from 'node:path'
import { onlyAbsent } from '../domain/error-code.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Disk } from './disk.ts'
import { LOCK_NAME, listInstances } from './folder.ts'

/** A lock on a file that ends with its process, however that ends. */
export interface Hold {
  release(): void
}

/** Takes a lock, on a file that it makes; `undefined` when another process has it. */
export type TakeHold = (path: string) => Hold | undefined

/** An instance whose chain this process alone writes. */
export interface Claim extends Hold {
  readonly instance: string
  readonly folder: string
  /** Whether it still is: who takes the lock's file away, or the folder, lets others in. */
  isHeld(): Promise<boolean>
}

interface ClaimDeps {
  /** Where all chains lie. */
  readonly folder: string
  readonly disk: Disk
  readonly takeHold: TakeHold
  readonly random: (byteCount: number) => Uint8Array
}

/**
 * Takes an instance that no process writes for at present, or begins a new one. So a process that starts again goes on
 * with its chain, and what was cut from its end shows; and as many instances lie here as processes ran at once.
 */
export async function claimInstance({ folder, disk, takeHold, random }: ClaimDeps): Promise<Claim> {
  await disk.makeFolder(folder)
  for (const instance of await listInstances(folder)) {
    const claim = await tryToClaim(instance)
    if (claim !== undefined) return claim
  }
  const fresh = writeIdentifier('ins', random(IDENTIFIER_RANDOM_BYTES))
  await disk.makeFolder(join(folder, fresh))
  const claim = await claimOf(fresh)
  if (claim === undefined) throw new Error(`Another process has taken ${fresh}, which was made just now.`)
  return claim

  // One whose lock cannot even be asked for, another user's perhaps, must not keep this process from a chain of its own.
  async function tryToClaim(instance: string): Promise<Claim | undefined> {
    try {
      return await claimOf(instance)
    } catch {
      return undefined
    }
  }

  async function claimOf(instance: string): Promise<Claim | undefined> {
    const path = join(folder, instance, LOCK_NAME)
    const hold = takeHold(path)
    if (hold === undefined) return undefined
    try {
      const { dev, ino } = await disk.identity(path)
      const isHeld = async () => {
        const found = await disk.identity(path).catch(onlyAbsent)
        return found?.dev === dev && found.ino === ino
      }
      return { instance, folder: join(folder, instance), release: hold.release, isHeld }
    } catch (error) {
      hold.release()
      throw error
    }
  }
}
