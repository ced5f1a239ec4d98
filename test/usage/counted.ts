import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { FileJournalDeps } from '../../src/journal/file-journal.ts'
import type { Journal, Refusal, WrittenBatch } from '../../src/journal/journal.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import type { Store, UsageBatch } from '../../src/store/store.ts'
import { type ChainStanding, createChainUsage } from '../../src/usage/chain-usage.ts'
import { createFreshRecords, type FreshRecords } from '../../src/usage/fresh-records.ts'
import { createPace } from '../../src/usage/pace.ts'
import { digestWith } from '../../src/usage/tally.ts'
import { createUsage, type UsageSource } from '../../src/usage/usage.ts'
import { eventually, filesIn, issuance, journalFolderOf, readRecords, tokenOf } from '../helpers/journal.ts'

export const digest = digestWith(new Uint8Array(32))

export const refusal: Refusal = {
  environmentId: issuance.environmentId,
  keyId: issuance.keyId,
  format: 'user',
  code: 'rate_limited',
  subject: 'alice',
  address: '127.0.0.1',
  endUserAddress: undefined,
  userAgent: undefined,
  requestId: 'r-2',
}

/** A store in memory, and what keeps the log. */
export async function emptyStore(t: TestContext) {
  const store = openSqlite(':memory:')
  await store.prepare()
  t.after(() => store.close())
  const told: [level: string, message: string][] = []
  const log = {
    info: (message: string) => told.push(['info', message]),
    warn: (_fields: object, message: string) => told.push(['warn', message]),
    error: (_fields: object, message: string) => told.push(['error', message]),
  }
  return { store, log, told }
}

/** A store whose `add` fails: before anything is written, or when all is. */
export function failing(store: Store): Store & { fail: 'before' | 'after' | undefined; added: UsageBatch[] } {
  const faulty = {
    ...store,
    fail: undefined as 'before' | 'after' | undefined,
    added: [] as UsageBatch[],
    usage: {
      ...store.usage,
      async add(batch: UsageBatch) {
        if (faulty.fail === 'before') throw new Error('The database is away')
        const counted = await store.usage.add(batch)
        faulty.added.push(batch)
        if (faulty.fail === 'after') throw new Error('The answer was lost')
        return counted
      },
    },
  }
  return faulty
}

export function usageOf(
  source: UsageSource,
  store: Pick<Store, 'usage'>,
  log: { info(message: string): void; error(fields: object, message: string): void },
) {
  return createUsage({ store, source, seams: { now: Date.now, monotonic: () => performance.now() }, log })
}

/** What counts a chain up to a record. */
export function chainUsage(
  folder: string,
  store: Pick<Store, 'usage'>,
  standing: () => ChainStanding | undefined,
  fresh?: FreshRecords,
): UsageSource {
  const pace = createPace({ monotonic: () => performance.now() })
  return createChainUsage({ folder, standing, fresh, store, digest, pace, now: Date.now })
}

/** How often each outcome is in the database, for the environment of the journal's tests. */
export async function countsIn(store: Pick<Store, 'usage'>): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  const range = { from: 0, to: 2 ** 40 }
  await store.usage.read({ environmentId: issuance.environmentId, grain: 'minute', ...range }, (rows) => {
    for (const { outcome, count } of rows) found[outcome] = (found[outcome] ?? 0) + count
  })
  return found
}

/** The same as the records tell that are in the files. */
export function countsOf(folder: string): Record<string, number> {
  const found: Record<string, number> = {}
  const note = (outcome: string, count: number) => {
    found[outcome] = (found[outcome] ?? 0) + count
  }
  for (const { type, code, counts } of readRecords(folder)) {
    if (type === 'issued') note('issued', 1)
    if (type === 'refused') note(String(code), 1)
    if (Array.isArray(counts)) for (const kind of counts) note(kind.code, kind.count)
  }
  return found
}

/** Where a journal ends, as its counting is told. */
export function endOf(journal: Journal) {
  return () => {
    const found = journal.standing()
    return found && { instance: found.instance, upTo: found.head.n, isHeld: found.isHeld }
  }
}

export async function issue(journal: Journal, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => journal.append(tokenOf(`t${index}`))))
}

/** A file that is removed is noticed with the next record. */
export async function untilAnotherFile(journal: Journal, folder: string): Promise<void> {
  await eventually(async () => {
    try {
      await journal.append(tokenOf('another'))
      return filesIn(folder).length > 0
    } catch {
      return false
    }
  }, 'another file is begun')
}

/** Where records are counted from: their files alone, or memory as well, as in a server. */
export type From = 'files' | 'memory'

export async function setup(t: TestContext, from: From) {
  const { folder, open: openJournal } = await journalFolderOf(t)
  const { store, log, told } = await emptyStore(t)
  const faulty = failing(store)
  const listeners = new Set<(batch: WrittenBatch) => void>()
  const onBatch = (batch: WrittenBatch) => {
    for (const listen of listeners) listen(batch)
  }
  const open = (deps: Partial<FileJournalDeps> = {}) => openJournal({ onBatch, ...deps })
  const countingOf = (journal: Journal, readIn = folder) => {
    const fresh = createFreshRecords(digest)
    if (from === 'memory') listeners.add(fresh.add)
    return usageOf(chainUsage(readIn, faulty, endOf(journal), fresh), faulty, log)
  }
  const isWhole = async () => assert.deepEqual(await countsIn(store), countsOf(folder))
  return { folder, open, store: faulty, told, countingOf, isWhole }
}
