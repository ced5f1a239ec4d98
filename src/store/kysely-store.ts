import { CamelCasePlugin, type Dialect, type Expression, Kysely, sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { JetonError } from '../domain/errors.ts'
import { createAlertStore } from './alerts.ts'
import { apiKeyOf, apiKeysMadeAt, apiKeysOf, livingKeyNamed, noteUses } from './api-keys.ts'
import { createCourseReads } from './courses.ts'
import { hasTable, migrate, refuseNewer } from './migrate.ts'
import { readChanges } from './read-changes.ts'
import {
  adminKeyToRow,
  apiKeyToRow,
  environmentRow,
  environmentToRow,
  revocationRow,
  type Schema,
  signingKeyRow,
  signingKeyToRow,
} from './rows.ts'
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
}

/** What a unique value that is there already means to whoever wanted to write it. */
export function conflict(cause: unknown): JetonError {
  return new JetonError('conflict', 'Something with this name or identity is there already.', { cause })
}

/** The store over any database that Kysely speaks to. */
export function createKyselyStore({ writes, reads, explain }: KyselyStoreDeps): Store {
  const db = kyselyOver(writes)
  const reader = reads === undefined ? db : kyselyOver(reads)

  return {
    prepare,
    sealedDataKey,
    changeDataKey,
    change,
    readChanges: (since, take) => readChanges(reader, since, take),
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
    await inTransaction(async (transaction) => {
      await takeWriteLock(transaction)
      const row = await transaction.selectFrom('dataKey').select('sealed').executeTakeFirstOrThrow()
      const sealed = Buffer.from(await work(Buffer.from(row.sealed, 'base64url'))).toString('base64url')
      if (sealed !== row.sealed) await transaction.updateTable('dataKey').set({ sealed }).execute()
    })
  }

  async function prepare() {
    await migrate(db)
  }

  async function change<T>(work: (changes: ChangeSet) => Promise<T>): Promise<T> {
    return await inTransaction(async (transaction) => {
      // First of all: the row stays locked until the commit, so that changes come one after another.
      const revised = await transaction
        .updateTable('revision')
        .set((row) => ({ value: row('value', '+', 1) }))
        .where('id', '=', ONLY_ROW)
        .returning('value')
        .executeTakeFirstOrThrow()
      return await work(changeSet(transaction, revised.value))
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

/** Kysely as the store uses it: names of columns in camel case. */
export function kyselyOver(dialect: Dialect): Kysely<Schema> {
  return new Kysely<Schema>({ dialect, plugins: [new CamelCasePlugin()] })
}

function changeSet(transaction: Transaction<Schema>, revision: number): ChangeSet {
  return {
    async countEnvironments() {
      const { count } = await transaction
        .selectFrom('environment')
        .select((row) => row.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      return Number(count)
    },
    async keepDataKey(sealed) {
      const row = { id: ONLY_ROW, sealed: Buffer.from(sealed).toString('base64url') }
      await transaction
        .insertInto('dataKey')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute()
      const kept = await transaction.selectFrom('dataKey').select('sealed').executeTakeFirstOrThrow()
      return Buffer.from(kept.sealed, 'base64url')
    },
    async insertAdminKey(key) {
      await transaction.insertInto('adminKey').values(adminKeyToRow(key)).execute()
    },
    async findEnvironment(id) {
      return await environmentOf(transaction, id)
    },
    async insertEnvironment(environment) {
      await transaction
        .insertInto('environment')
        .values({ ...environmentToRow(environment), revision })
        .execute()
    },
    async insertApiKey(key) {
      await transaction
        .insertInto('apiKey')
        .values({ ...apiKeyToRow(key), revision })
        .execute()
    },
    async insertSigningKey(key) {
      await transaction
        .insertInto('signingKey')
        .values({ ...signingKeyToRow(key), revision })
        .execute()
    },
    async findIdempotentCall(id, since) {
      return await transaction
        .selectFrom('idempotentCall')
        .selectAll()
        .where('id', '=', id)
        .where('createdAt', '>', since)
        .executeTakeFirst()
    },
    async keepIdempotentCall(call, since) {
      await transaction.deleteFrom('idempotentCall').where('createdAt', '<=', since).execute()
      await transaction
        .insertInto('idempotentCall')
        .values({ ...call })
        .execute()
    },
    revision,
    async findRevocation(environmentId, kind, value) {
      const row = await transaction
        .selectFrom('revocation')
        .selectAll()
        .where('environmentId', '=', environmentId)
        .where('kind', '=', kind)
        .where('value', '=', value)
        .executeTakeFirst()
      return row === undefined ? undefined : revocationRow.parse(row)
    },
    async keepRevocation({ environmentId, kind, value, before, until }, now) {
      await transaction.deleteFrom('revocation').where('until', '<=', now).execute()
      await transaction
        .insertInto('revocation')
        .values({ environmentId, kind, value, before: before ?? null, until, revision })
        .onConflict((conflict) =>
          conflict.columns(['environmentId', 'kind', 'value']).doUpdateSet((row) => ({
            before: later(row.ref('revocation.before'), row.ref('excluded.before')),
            until: later(row.ref('revocation.until'), row.ref('excluded.until')),
            revision: row.ref('excluded.revision'),
          })),
        )
        .execute()
    },
    async findApiKey(id) {
      return await apiKeyOf(transaction, id)
    },
    async findLivingKeyNamed(environmentId, name, now) {
      return await livingKeyNamed(transaction, environmentId, name, now)
    },
    async listApiKeysOf(environmentId, createdAt) {
      return await apiKeysMadeAt(transaction, environmentId, createdAt)
    },
    async listSigningKeys(environmentId) {
      return await signingKeysOf(transaction, environmentId)
    },
    async updateEnvironment(id, change) {
      const row = await this.findEnvironment(id)
      if (row === undefined) throw new JetonError('not_found', 'There is no such environment.')
      const changed = { ...environmentToRow({ ...row, ...change }), revision }
      await transaction.updateTable('environment').set(changed).where('id', '=', id).execute()
    },
    async updateApiKey(id, change) {
      const row = await this.findApiKey(id)
      if (row === undefined) throw new JetonError('not_found', 'There is no such key.')
      const changed = { ...apiKeyToRow({ ...row, ...change }), revision }
      await transaction.updateTable('apiKey').set(changed).where('id', '=', id).execute()
    },
    async updateSigningKey(environmentId, kid, change) {
      const keys = await this.listSigningKeys(environmentId)
      const row = keys.find((key) => key.kid === kid)
      if (row === undefined) throw new JetonError('not_found', 'There is no such signing key.')
      const changed = { ...signingKeyToRow({ ...row, ...change }), revision }
      await transaction
        .updateTable('signingKey')
        .set(changed)
        .where('environmentId', '=', environmentId)
        .where('kid', '=', kid)
        .execute()
    },
  }
}

function later<Value>(kept: Expression<Value>, added: Expression<Value>) {
  return sql<Value>`case when ${kept} > ${added} then ${kept} else ${added} end`
}

async function environmentOf(db: Kysely<Schema>, id: string) {
  const row = await db.selectFrom('environment').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : environmentRow.parse(row)
}

async function signingKeysOf(db: Kysely<Schema>, environmentId: string) {
  const rows = await db
    .selectFrom('signingKey')
    .selectAll()
    .where('environmentId', '=', environmentId)
    .orderBy('signsFrom')
    .orderBy('kid')
    .execute()
  return z.array(signingKeyRow).parse(rows)
}
