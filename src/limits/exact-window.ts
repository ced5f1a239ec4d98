import { hash } from 'node:crypto'
import { createDigestIndex, type DigestIndex } from './digest-index.ts'
import type { SlidingWindow, Taken } from './memory.ts'
import { createTimeLists, type TimeList, type TimeLists } from './time-lists.ts'

/** The ids that were last seen in one stretch of time, each with its moments. */
interface Generation {
  readonly startedAt: number
  readonly index: DigestIndex
  readonly lists: TimeLists
}

/**
 * A sliding window that keeps every moment, and so is exact: an id that has `limit` moments younger than the
 * window's length is refused, any other is not.
 *
 * Ids move to the current generation when they are seen. A generation lasts one window's length at least, so once
 * it is two old everything in it has run out, and it is let go whole: nothing is ever swept, and no living count
 * dropped. An id is kept as a digest, so that its length costs no memory.
 *
 * @param secret text of this process alone, so that nobody knows which ids have like digests
 */
export function createExactWindow(lengthMs: number, secret: string): SlidingWindow {
  let current = createGeneration(Number.NEGATIVE_INFINITY)
  let previous = current

  return { take, giveBack }

  function take(id: string, limit: number, now: number): Taken {
    advance(now)
    const digest = digestOf(id)
    const { index, lists } = current
    const known = index.get(digest)
    const list = known ?? bringOver(digest) ?? lists.create()
    lists.dropUntil(list, now - lengthMs)
    const used = lists.length(list)
    const allowed = used < limit
    const kept = allowed ? lists.append(list, now) : list
    if (kept !== known) index.set(digest, kept)
    // The moment that must run out before there is room for one more than now.
    const next = lists.at(kept, Math.max(0, used - limit))
    return { allowed, remaining: Math.max(0, limit - used - 1), resetMs: next + lengthMs - now }
  }

  function giveBack(id: string): void {
    const list = current.index.get(digestOf(id))
    if (list !== undefined) current.lists.dropLast(list)
  }

  function advance(now: number): void {
    if (now - current.startedAt <= lengthMs) return
    previous = current
    current = createGeneration(now)
  }

  function bringOver(digest: string): TimeList | undefined {
    const old = previous.index.get(digest)
    if (old === undefined) return undefined
    let list = current.lists.create()
    for (let index = 0; index < previous.lists.length(old); index += 1) {
      list = current.lists.append(list, previous.lists.at(old, index))
    }
    return list
  }

  function digestOf(id: string): string {
    return hash('sha256', `${secret}${id}`, 'latin1')
  }
}

function createGeneration(startedAt: number): Generation {
  return { startedAt, index: createDigestIndex(), lists: createTimeLists() }
}
