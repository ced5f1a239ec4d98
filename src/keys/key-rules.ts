import { nameFault } from '../domain/environment.ts'
import { JetonError } from '../domain/errors.ts'
import type { ApiKey, ApiKeyChange, ChangeSet } from '../store/store.ts'
import { refuseNames } from './new-environment.ts'

/** What may be said of a key when it is made or changed. */
type Carried = Pick<ApiKeyChange, 'name' | 'grant' | 'access' | 'expiresAt'> & {
  readonly localSigning?: boolean
}

/**
 * Refuses what a new or changed key cannot carry. A grant limits what a secret key mints; a publishable key mints
 * nothing, and carries its access itself. An end that has passed already would make a key that never lives.
 *
 * @throws JetonError `body_invalid`
 */
export function refuseMisfit(kind: ApiKey['kind'], carried: Carried, now: number): void {
  const { name, grant, access, expiresAt, localSigning } = carried
  if (kind === 'secret' && access !== undefined) throw misfit('access', 'only a publishable key carries it')
  if (kind === 'publishable' && grant !== undefined)
    throw misfit('grant', 'only a secret key is limited by it')
  if (kind === 'publishable' && localSigning) throw misfit('localSigning', 'only a secret key signs')
  if (expiresAt !== undefined && expiresAt <= now) throw misfit('expiresAt', 'must be in the future')
  if (name !== undefined) refuseNames([{ path: 'name', message: nameFault(name) }])
}

/**
 * Refuses a name that a living key of the environment has. Only a rotated key in its grace and what took its place
 * share one; the name of a key that has ended is free. Asked within the change's own transaction: changes happen one
 * after another, since each begins by counting the revision up, so of two at once the second finds the first.
 *
 * @throws JetonError `conflict`
 */
export async function refuseNameInUse(
  changes: ChangeSet,
  environmentId: string,
  name: string | undefined,
  now: number,
): Promise<void> {
  if (name === undefined) return
  if ((await changes.findLivingKeyNamed(environmentId, name, now)) === undefined) return
  throw new JetonError('conflict', `A living key of this environment is named "${name}" already.`)
}

/**
 * Refuses to push out the end of a key that was rotated: its grace is what the rotation said, or less.
 *
 * @throws JetonError `conflict`
 */
export function refuseLaterEnd(key: ApiKey, change: Carried): void {
  if (key.successorId === undefined || !('expiresAt' in change)) return
  if ((change.expiresAt ?? Number.POSITIVE_INFINITY) <= (key.expiresAt ?? Number.POSITIVE_INFINITY)) return
  throw new JetonError('conflict', 'The key was rotated; it can end earlier, not later.')
}

/** The refusal of a member that this kind of key cannot have. */
export function misfit(path: string, message: string): JetonError {
  return new JetonError('body_invalid', `${path}: ${message}.`, { issues: [{ path, message }] })
}
