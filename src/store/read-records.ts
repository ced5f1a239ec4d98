import { existsSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { type Kysely, type SqlBool, sql } from 'kysely'
import type { Aspect, ChangeRecord } from '../domain/change-record.ts'
import { kyselyOver } from './kysely-store.ts'
import { hasTable, refuseNewer, StoreError } from './migrate.ts'
import { readingDialect } from './open-sqlite.ts'
import type { Schema } from './rows.ts'
import { openForReading } from './sqlite-file.ts'
import type { ChangeFound, ChangeQuestion, ChangeRecords, Unrecorded } from './store.ts'

/** Read at once: few enough that they take no memory to speak of. */
const RECORDS_AT_ONCE = 500

/** The tables whose rows say which revision wrote them. */
const WRITTEN = {
  environment: 'environments',
  apiKey: 'keys',
  signingKey: 'signing keys',
  revocation: 'revocations',
} as const

/** What becomes of a StoreError that a look throws. */
export type Explain = (error: unknown) => unknown

/** Lets `work` read the database as it is then. */
export type Look = <T>(work: (db: Kysely<Schema>) => Promise<T>) => Promise<T>

/**
 * The records in an embedded database; `undefined` when there is none. The file is opened for each look: a restore may
 * put another one in its place in between, and is not held up.
 *
 * @throws what `explain` makes of a StoreError when a newer program wrote it, or it is none; each look may throw it too
 */
export async function readSqliteRecords(path: string, explain: Explain): Promise<ChangeRecords | undefined> {
  if (!existsSync(path)) return undefined
  return await createChangeRecords(look, async () => undefined)

  async function look<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    let database: DatabaseSync | undefined
    try {
      database = openForReading(path)
      const db = kyselyOver(readingDialect(database))
      return await work(db).finally(() => db.destroy())
    } catch (error) {
      if (error instanceof StoreError) throw explain(error)
      const reason = error instanceof Error ? error.message : String(error)
      throw explain(new StoreError(`The database ${path} cannot be read: ${reason}.`, { cause: error }))
    } finally {
      database?.close()
    }
  }
}

/**
 * The records in a database that is open.
 *
 * @param close ends what `look` works with
 * @throws StoreError when a newer program wrote it, or what `look` throws; each question may throw that too
 */
export async function createChangeRecords(look: Look, close: () => Promise<void>): Promise<ChangeRecords> {
  await look(refuseNewer)
  return { find, after, last, unrecorded, close }

  // A server may bring the database up to date while somebody reads.
  function lookAtRecords<T>(none: T, work: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    return look(async (db) => ((await hasTable(db, 'change_record')) ? await work(db) : none))
  }

  async function* find(question: ChangeQuestion): AsyncGenerator<ChangeRecord> {
    let [at, revision] = ['', 0]
    for (;;) {
      const rows = await lookAtRecords<ChangeRecord[]>([], (db) => found(db, question, [at, revision]))
      yield* rows
      const end = rows.at(-1)
      if (end === undefined || rows.length < RECORDS_AT_ONCE) return
      ;({ at, revision } = end)
    }
  }

  async function* after(revision: number): AsyncGenerator<ChangeFound> {
    for (let from = revision; ; ) {
      const rows = await lookAtRecords<ChangeFound[]>([], (db) => behind(db, from))
      yield* rows
      const end = rows.at(-1)
      if (end === undefined || rows.length < RECORDS_AT_ONCE) return
      from = end.revision
    }
  }

  async function last(count: number): Promise<readonly ChangeRecord[]> {
    const rows = await lookAtRecords<ChangeRecord[]>([], (db) =>
      db.selectFrom('changeRecord').selectAll().orderBy('revision', 'desc').limit(count).execute(),
    )
    return rows.reverse()
  }

  async function unrecorded(): Promise<readonly Unrecorded[]> {
    return await lookAtRecords<Unrecorded[]>([], async (db) => {
      const first = await db
        .selectFrom('changeRecord')
        .select((row) => row.fn.min('revision').as('revision'))
        .executeTakeFirst()
      if (typeof first?.revision !== 'number') return []
      const all: Unrecorded[] = []
      for (const [table, what] of Object.entries(WRITTEN)) {
        for (const revision of await writtenUnseen(db, table, first.revision)) all.push({ what, revision })
      }
      return all.sort((one, other) => one.revision - other.revision)
    })
  }
}

async function found(
  db: Kysely<Schema>,
  { environmentId, keyId, subject, jti, since, until }: ChangeQuestion,
  [at, revision]: [string, number],
): Promise<ChangeRecord[]> {
  const asked: [Aspect, string | undefined][] = [
    ['jti', jti],
    ['subject', subject],
    ['key', keyId],
    ['environment', environmentId],
  ]
  let records = db
    .selectFrom('changeRecord')
    .selectAll()
    .where(({ eb, refTuple, tuple }) => eb(refTuple('at', 'revision'), '>', tuple(at, revision)))
  for (const [aspect, value] of asked) {
    if (value === undefined) continue
    records = records.where('revision', 'in', (db) =>
      db
        .selectFrom('changeAspect')
        .select('revision')
        .where('aspect', '=', aspect)
        .where('value', '=', value),
    )
  }
  if (since !== undefined) records = records.where('at', '>=', new Date(since).toISOString())
  if (until !== undefined) records = records.where('at', '<', new Date(until).toISOString())
  return await records.orderBy('at').orderBy('revision').limit(RECORDS_AT_ONCE).execute()
}

async function behind(db: Kysely<Schema>, revision: number): Promise<ChangeFound[]> {
  const rows = await db
    .selectFrom('changeRecord')
    .selectAll()
    .where('revision', '>', revision)
    .orderBy('revision')
    .limit(RECORDS_AT_ONCE)
    .execute()
  const aspects = await db
    .selectFrom('changeAspect')
    .selectAll()
    .where('revision', '>', revision)
    .where('revision', '<=', rows.at(-1)?.revision ?? revision)
    .execute()
  const byRevision = Map.groupBy(aspects, (row) => row.revision)
  return rows.map((row) => ({
    ...row,
    aspects: (byRevision.get(row.revision) ?? []).map(({ aspect, value }) => [aspect, value] as const),
  }))
}

async function writtenUnseen(db: Kysely<Schema>, table: string, since: number): Promise<number[]> {
  const isUnseen = sql<SqlBool>`not exists (
    select 1 from change_record where change_record.revision = written.revision)`
  const { rows } = await sql<{ revision: number }>`
    select distinct revision from ${sql.table(table)} as written
    where revision > ${since} and ${isUnseen} order by revision`.execute(db)
  return rows.map((row) => row.revision)
}
