import { CamelCasePlugin, type Dialect, Kysely, type Transaction } from 'kysely'
import { z } from 'zod'
import type { NotedChange } from '../domain/change-record.ts'
import { JetonError } from '../domain/errors.ts'
import { createAlertStore } from './alerts.ts'
import { apiKeyOf, apiKeysMadeAt, apiKeysOf, noteUses } from './api-keys.ts'
import { UNTOLD, type Witness, writeRecord } from './change-records.ts'
import { changeSet, environmentOf, signingKeysOf } from './change-set.ts'
import { createCourseReads } from './courses.ts'
import { hasTable, migrate, refuseNewer } from './migrate.ts'
import { readChanges } from './read-changes.ts'
import { environmentRow, type Schema } from './rows.ts'
import type { ChangeSet, KeyPage, Store } from './store.ts'
import {
  addUsage,
  countedUpTo,
  forgetChains,
  forgetUsage,
  issuedByMinute,
  readUsage,
  sketchesOf,
} from './usage.ts'
import { takeWriteLock } from './write-lock.ts'

const ONLY_ROW = 1

interface KyselyStoreDeps {
  readonly writes: Dialect
  /** A connection for reads alone, which then wait for no change; left out, they share the other one. */
  readonly reads?: Dialect | undefined
  /** What an error of the driver's means, where whoever called can do something about it; or the error itself. */
  readonly explain: (error: unknown) => unknown
  /** Tells when something is changed, and by whom. */
  readonly witness?: Witness | undefined
}

/** What a unique value that is there already means to whoever wanted to write it. */
export function conflict(cause: unknown): JetonError {
  return new JetonError('conflict', 'Something with this name or identity is there already.', { cause })
}

/** The store over any database that Kysely speaks to. */
export function createKyselyStore({ writes, reads, explain, witness = UNTOLD }: KyselyStoreDeps): Store {
  const db = kyselyOver(writes)
  const reader = reads === undefined ? db : kyselyOver(reads)

  return {
    prepare,
    sealedDataKey,
    changeDataKey,
    change,
    readChanges: (since, take, last) => readChanges(reader, since, take, last),
    listEnvironments,
    listApiKeys,
    listSigningKeys,
    findEnvironment,
    findApiKey: (id) => apiKeyOf(reader, id),
    listApiKeysOf: (environmentId, createdAt) => apiKeysMadeAt(reader, environmentId, createdAt),
    noteUses: (uses) => explained(() => noteUses(db, uses)),
    usage: {
      // Asked where it is written, behind whatever is being written.
      countedUpTo: (chain) => explained(() => countedUpTo(db, chain)),
      add: (batch) => explained(() => addUsage(db, batch)),
      minutes: (range) => issuedByMinute(reader, range),
      read: (range, take) => readUsage(reader, range, take),
      subjects: (range) => sketchesOf(reader, range),
      forget: (before) => explained(() => forgetUsage(db, before)),
      forgetChains: (named) => explained(() => forgetChains(db, named)),
    },
    alerts: createAlertStore({ reader, inTransaction }),
    courses: createCourseReads(reader),
    close,
  }

  async function sealedDataKey() {
    await refuseNewer(reader)
    if (!(await hasTable(reader, 'data_key'))) return undefined
    const row = await reader
      .selectFrom('dataKey')
      .select('sealed')
      .where('id', '=', ONLY_ROW)
      .executeTakeFirst()
    return row === undefined ? undefined : Buffer.from(row.sealed, 'base64url')
  }

  async function changeDataKey(work: (sealed: Uint8Array) => Promise<Uint8Array>) {
    const actor = witness.actor()
    await inTransaction(async (transaction) => {
      await takeWriteLock(transaction)
      const row = await transaction.selectFrom('dataKey').select('sealed').executeTakeFirstOrThrow()
      const sealed = Buffer.from(await work(Buffer.from(row.sealed, 'base64url'))).toString('base64url')
      if (sealed === row.sealed) return
      await transaction.updateTable('dataKey').set({ sealed }).execute()
      const changes = [{ what: 'data key sealed anew' }]
      const revision = await countUp(transaction)
      await writeRecord(transaction, { revision, at: witness.now(), actor, changes })
    })
  }

  async function prepare() {
    await migrate(db)
  }

  async function change<T>(work: (changes: ChangeSet) => Promise<T>): Promise<T> {
    const actor = witness.actor()
    return await inTransaction(async (transaction) => {
      // First of all: the row stays locked until the commit, so that changes come one after another.
      const revision = await countUp(transaction)
      const changes: NotedChange[] = []
      const result = await work(changeSet(transaction, revision, (change) => changes.push(change)))
      await writeRecord(transaction, { revision, at: witness.now(), actor, changes })
      return result
    })
  }

  function inTransaction<T>(work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
    return explained(() => db.transaction().execute(work))
  }

  async function explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw explain(error)
    }
  }

  async function listEnvironments(page?: { after?: string | undefined; limit: number }) {
    const all = reader.selectFrom('environment').selectAll()
    if (page === undefined) {
      return z.array(environmentRow).parse(await all.orderBy('createdAt').orderBy('id').execute())
    }
    const some = page.after === undefined ? all : all.where('id', '>', page.after)
    return z.array(environmentRow).parse(await some.orderBy('id').limit(page.limit).execute())
  }

  async function listApiKeys(environmentId: string | undefined, page?: KeyPage) {
    return await apiKeysOf(reader, environmentId, page)
  }

  async function findEnvironment(id: string) {
    return await environmentOf(reader, id)
  }

  async function listSigningKeys(environmentId: string) {
    return await signingKeysOf(reader, environmentId)
  }

  async function close() {
    await reader.destroy()
    await db.destroy()
  }
}

/** Begins a change: the row stays locked until the commit. */
export async function countUp(transaction: Transaction<Schema>): Promise<number> {
  const { value } = await transaction
    .updateTable('revision')
    .set((row) => ({ value: row('value', '+', 1) }))
    .where('id', '=', ONLY_ROW)
    .returning('value')
    .executeTakeFirstOrThrow()
  return value
}

/** Kysely as the store uses it: names of columns in camel case. */
export function kyselyOver(dialect: Dialect): Kysely<Schema> {
  return new Kysely<Schema>({ dialect, plugins: [new CamelCasePlugin()] })
}
