import type { Store } from '../store/store.ts'

/** As much of a logger as is needed here. */
interface LastUsesLog {
  info(message: string): void
  error(fields: object, message: string): void
}

/** When keys were last used, to the minute: noted in memory, and written in batches. */
export interface LastUses {
  /** Notes that a key was used just now. It stands on the way of every request, and never fails. */
  note(keyId: string): void
  /**
   * Writes what was noted since the last time. What cannot be written stays for the next time; that is told once, and so
   * is the next time that it can.
   */
  flush(): Promise<void>
}

interface LastUsesDeps {
  readonly store: Pick<Store, 'noteUses'>
  /** Unix milliseconds. */
  readonly now: () => number
  readonly log: LastUsesLog
}

const MINUTE_MS = 60_000

export function createLastUses({ store, now, log }: LastUsesDeps): LastUses {
  let noted = new Map<string, number>()
  let failing = false
  let lastWrite = Promise.resolve()

  return {
    note(keyId) {
      const at = now()
      noted.set(keyId, at - (at % MINUTE_MS))
    },
    flush,
  }

  // One after another, so that the last one before the store is closed waits for one that is under way.
  function flush(): Promise<void> {
    lastWrite = lastWrite.then(write)
    return lastWrite
  }

  async function write(): Promise<void> {
    if (noted.size === 0) return
    const taken = noted
    noted = new Map()
    try {
      await store.noteUses(taken)
      if (failing) log.info('last uses can be written again')
      failing = false
    } catch (err) {
      // What was noted meanwhile is newer.
      noted = new Map([...taken, ...noted])
      if (!failing) log.error({ err }, 'last uses cannot be written')
      failing = true
    }
  }
}
