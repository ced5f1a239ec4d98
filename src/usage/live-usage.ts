import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import { type Countable, countOfIssuance, countOfRefusal, type Journal } from '../journal/journal.ts'
import type { Seams } from '../seams.ts'
import type { UsageBatch } from '../store/store.ts'
import { createTally, type Digest } from './tally.ts'
import type { UsageSource } from './usage.ts'

/** What a process's own counting is called in the place of a chain. */
export const LIVE_PREFIX = 'mem'

/** More kinds than may wait in memory while the database is away. */
const MOST_KINDS = 10_000

const MINUTE_MS = 60_000

interface LiveUsageDeps {
  readonly digest: Digest
  readonly seams: Pick<Seams, 'now' | 'random'>
  readonly log: { warn(fields: object, message: string): void }
  readonly mostKinds?: number
}

/** Counts what goes through a journal of which nothing can be read back. What a kill takes from memory is not counted. */
export interface LiveUsage extends UsageSource {
  /** The same journal, counted. */
  count(journal: Journal): Journal
}

export function createLiveUsage(deps: LiveUsageDeps): LiveUsage {
  const { digest, seams, log, mostKinds = MOST_KINDS } = deps
  // Batches are numbered, so that one whose answer was lost is not added twice.
  const chain = writeIdentifier(LIVE_PREFIX, seams.random(IDENTIFIER_RANDOM_BYTES))
  let tally = createTally(digest)
  let pending: { readonly batch: UsageBatch; readonly total: number } | undefined
  let written = 0
  let left = 0
  return {
    isKept: false,
    async next() {
      if (pending !== undefined) return { batch: pending.batch, isAll: false }
      if (tally.size() === 0) return undefined
      const at = Math.floor(seams.now() / MINUTE_MS)
      const batch = { chain, after: written, upTo: written + 1, ...tally.content(), at }
      pending = { batch, total: tally.total() }
      tally = createTally(digest)
      if (left > 0) log.warn({ left }, 'some usage is not counted: too much waited for the database')
      left = 0
      return { batch, isAll: true }
    },
    settle(counted) {
      const isIn = counted === pending?.batch.upTo
      written = counted
      // The database was put back to an earlier state: the same counts again, in the place where it stands.
      pending = isIn || pending === undefined ? undefined : renumbered(pending, counted)
    },
    waiting: () => tally.total() + (pending?.total ?? 0),
    count: (journal) => ({
      ...journal,
      append(issuance) {
        const recorded = journal.append(issuance)
        note(countOfIssuance(issuance))
        return recorded
      },
      refuse(refusal) {
        journal.refuse(refusal)
        note(countOfRefusal(refusal))
      },
    }),
  }

  function note(countable: Countable): void {
    if (tally.size() < mostKinds) tally.note(countable, Math.floor(seams.now() / MINUTE_MS))
    else left += 1
  }
}

function renumbered<Pending extends { readonly batch: UsageBatch }>(pending: Pending, counted: number) {
  return { ...pending, batch: { ...pending.batch, after: counted, upTo: counted + 1 } }
}
