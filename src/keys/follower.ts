import type { ChangeHead } from '../domain/change-record.ts'
import type { Seams } from '../seams.ts'
import type { ChangedRows, Store } from '../store/store.ts'

/** How well this process knows what is in the store. */
export type Knowledge = 'fresh' | 'behind' | 'stale'

/** Reads what changes in the store, and hands it to whatever keeps a part of it in memory. */
export interface Follower {
  /** Hands every change to `take` from now on: all there is first, since nothing was read before. */
  tell(take: (rows: ChangedRows) => void): void
  /** Reads what changed. Reads never overlap, so that an older one cannot put an old state back. */
  refresh(): Promise<void>
  /**
   * Reads what changed, behind a change that is done: a read that fails takes nothing back, so it never rejects. Whoever
   * follows the store tells of it and reads again.
   */
  catchUp(): Promise<void>
  /** Since when, against the store. `stale`: too long ago to go on. */
  knowledge(): Knowledge
  /** How long ago the last read that succeeded began. */
  readAgeSeconds(): number
  /** The revision up to which this process knows everything. */
  revision(): number
}

interface FollowerDeps {
  readonly store: Pick<Store, 'readChanges'>
  readonly seams: Pick<Seams, 'monotonic'>
  /** How long this process may go on without a successful read. */
  readonly staleKeysSeconds: number
}

/** Longer than this without a successful read, and a change elsewhere may not have arrived here. */
const FRESH_MS = 1_000

export function createFollower({ store, seams, staleKeysSeconds }: FollowerDeps): Follower {
  const told: ((rows: ChangedRows) => void)[] = []
  let revision = 0
  let lastRecord: ChangeHead | undefined
  let readAt = Number.NEGATIVE_INFINITY
  let lastRead = Promise.resolve()

  return {
    tell,
    refresh,
    catchUp,
    knowledge,
    readAgeSeconds: () => readAgeMs() / 1000,
    revision: () => revision,
  }

  function tell(take: (rows: ChangedRows) => void): void {
    if (revision > 0) throw new Error('What is told of changes must be there before the first one is read')
    told.push(take)
  }

  function refresh(): Promise<void> {
    lastRead = lastRead.then(read, read)
    return lastRead
  }

  function catchUp(): Promise<void> {
    return refresh().catch(() => undefined)
  }

  async function read(): Promise<void> {
    const startedAt = seams.monotonic()
    const take = (rows: ChangedRows) => {
      if ('recordHead' in rows) lastRecord = rows.recordHead
      for (const one of told) one(rows)
    }
    revision = await store.readChanges(revision, take, lastRecord)
    readAt = startedAt
  }

  function knowledge(): Knowledge {
    const ageMs = readAgeMs()
    return ageMs <= FRESH_MS ? 'fresh' : ageMs <= staleKeysSeconds * 1000 ? 'behind' : 'stale'
  }

  function readAgeMs(): number {
    return seams.monotonic() - readAt
  }
}
