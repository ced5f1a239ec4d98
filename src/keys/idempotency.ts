import { JetonError } from '../domain/errors.ts'
import type { ChangeSet } from '../store/store.ts'

/** How long a creating call is remembered. */
const REMEMBERED_MS = 24 * 3_600_000

/** A creating call that may come twice, because its first answer got lost. */
export interface RepeatableCall {
  /** The caller's `Idempotency-Key`, digested. */
  readonly id: string
  /** Tells whether another call with the same key asks for the same, and nothing of what it asked for. */
  readonly fingerprint: string
}

/**
 * Carries out a call unless it was carried out within 24 hours: then it gives the same result, which is found again by
 * the ids that were kept, and shown as it is by now. Nothing secret is kept, so a repeated result comes without its
 * secrets. Calls that come at the same moment are one after another, as all changes are.
 *
 * @param steps.work carries it out; whatever may refuse the call belongs in here, so that it does not refuse the same
 *   call the second time
 * @param steps.ids what to keep of a result: texts without spaces
 * @param steps.again how to find the result by that
 * @throws JetonError `conflict` when the key was used for another call
 */
export async function onceOnly<Result>(
  changes: ChangeSet,
  call: RepeatableCall | undefined,
  now: number,
  steps: {
    readonly work: () => Promise<Result>
    readonly ids: (result: Result) => readonly string[]
    readonly again: (ids: readonly string[]) => Promise<Result>
  },
): Promise<Result> {
  if (call === undefined) return await steps.work()
  const since = now - REMEMBERED_MS
  const known = await changes.findIdempotentCall(call.id, since)
  if (known === undefined) {
    const result = await steps.work()
    await changes.keepIdempotentCall({ ...call, result: steps.ids(result).join(' '), createdAt: now }, since)
    return result
  }
  if (known.fingerprint !== call.fingerprint) {
    throw new JetonError('conflict', 'This Idempotency-Key was used for another call.')
  }
  return await steps.again(known.result.split(' '))
}
