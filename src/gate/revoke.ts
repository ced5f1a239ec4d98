import { JetonError } from '../domain/errors.ts'
import type { Revocation } from '../domain/revocation.ts'
import { CLOCK_LEEWAY_SECONDS } from '../formats/claim-rules.ts'
import { lastEndOf, revokedUpTo } from '../formats/revocation.ts'
import type { Follower } from '../keys/follower.ts'
import type { Seams } from '../seams.ts'
import type { ChangeSet, Store } from '../store/store.ts'

/** Which tokens are to end. Times are unix seconds. */
export type RevocationRequest =
  | { readonly jti: string; readonly expiresAt?: number | undefined }
  | { readonly subject: string; readonly before?: number | undefined }
  | { readonly keyId: string; readonly before?: number | undefined }

/** Ends tokens before their time. */
export interface Revoke {
  /**
   * Refuses one token, or all that a subject or a secret key was issued up to and in the second `before`; now, when that
   * is left out. It holds in this process when it returns, if the store can be read, and in every other one within a second.
   *
   * @returns the version of the feed that has it
   * @throws JetonError `not_found` for an environment or a key that is not there, `body_invalid` for a future moment
   */
  revoke(environmentId: string, request: RevocationRequest): Promise<number>
}

interface RevokeDeps {
  readonly store: Pick<Store, 'change'>
  readonly follower: Pick<Follower, 'catchUp'>
  readonly seams: Pick<Seams, 'now'>
}

export function createRevoke({ store, follower, seams }: RevokeDeps): Revoke {
  return {
    async revoke(environmentId, request) {
      const now = Math.floor(seams.now() / 1000)
      const asked = revocationOf(environmentId, request, now)
      const isOfNow = !('jti' in request) && request.before === undefined
      const version = await store.change(async (changes) => {
        await refuseUnknown(changes, asked)
        const revocation = isOfNow ? await reachingNow(changes, asked, now) : asked
        await changes.keepRevocation(revocation, now)
        return changes.revision
      })
      await follower.catchUp()
      return version
    },
  }
}

/**
 * The entry that refuses these tokens for as long as one of them could be alive: no token lives longer than the longest
 * of any format, and the clocks of those who judge may be behind.
 *
 * @param now unix seconds
 * @throws JetonError `body_invalid` for a moment in the future
 */
export function revocationOf(
  environmentId: string,
  request: RevocationRequest,
  now: number,
): Omit<Revocation, 'revision'> {
  if ('jti' in request) {
    const { jti, expiresAt } = request
    // A token may be dated by as much as the leeway ahead of the one who revokes it.
    const latest = lastEndOf(now + CLOCK_LEEWAY_SECONDS)
    const until = Math.min(latest, (expiresAt ?? latest) + CLOCK_LEEWAY_SECONDS)
    return { environmentId, kind: 'jti', value: jti, before: undefined, until }
  }
  const { before = now } = request
  if (before > now) {
    const issue = { path: 'before', message: 'must not be in the future' }
    throw new JetonError('body_invalid', `${issue.path} ${issue.message}.`, { issues: [issue] })
  }
  const about =
    'subject' in request
      ? ({ kind: 'subject', value: request.subject } as const)
      : ({ kind: 'key', value: request.keyId } as const)
  return { environmentId, ...about, before, until: lastEndOf(before) }
}

async function reachingNow(
  changes: ChangeSet,
  asked: Omit<Revocation, 'revision'>,
  now: number,
): Promise<Omit<Revocation, 'revision'>> {
  const known = await changes.findRevocation(asked.environmentId, asked.kind, asked.value)
  const before = revokedUpTo(now, known?.before)
  return { ...asked, before, until: lastEndOf(before) }
}

async function refuseUnknown(
  changes: ChangeSet,
  { environmentId, kind, value }: Omit<Revocation, 'revision'>,
): Promise<void> {
  if ((await changes.findEnvironment(environmentId)) === undefined) {
    throw new JetonError('not_found', 'There is no such environment.')
  }
  if (kind === 'key' && (await changes.findApiKey(value))?.environmentId !== environmentId) {
    throw new JetonError('not_found', 'There is no such key.')
  }
}
