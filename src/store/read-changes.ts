import { setImmediate as freeTheLoop } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import type { ChangeHead } from '../domain/change-record.ts'
import { lastRecord } from './change-records.ts'
import { apiKeyFromRow, environmentRow, revocationRow, type Schema, signingKeyRow } from './rows.ts'
import type { ChangedRows } from './store.ts'

/** Rows in one part: few enough that reading and checking them holds the event loop for a few milliseconds. */
const ROWS_PER_PART = 250

/** See `Store.readChanges`. */
export async function readChanges(
  db: Kysely<Schema>,
  since: number,
  take: (rows: ChangedRows) => void,
  last?: ChangeHead,
): Promise<number> {
  // Read first: a change that lands in between is read now and, harmlessly, once more next time. What a revision wrote
  // can be seen by whoever sees the revision, since both are of one transaction, and so can what came before: PostgreSQL
  // lets the next change go on from the revision's row only once others see this one.
  const { value, sha256 } = await db
    .selectFrom('revision')
    .select((row) => [
      'value',
      row
        .selectFrom('changeRecord')
        .select('changeRecord.sha256')
        .where('changeRecord.revision', '=', last?.revision ?? 0)
        .as('sha256'),
    ])
    .executeTakeFirstOrThrow()
  // A database that lost changes may have had as many others by now: the revision alone does not tell.
  const isAnother = value < since || (last !== undefined && sha256 !== last.sha256)
  if (!isAnother && value > since) await readSince(db, since, take)
  if (isAnother) {
    const all: ChangedRows[] = []
    await readSince(db, 0, (rows) => all.push(rows))
    take({
      anew: true,
      environments: all.flatMap(({ environments = [] }) => environments),
      apiKeys: all.flatMap(({ apiKeys = [] }) => apiKeys),
      signingKeys: all.flatMap(({ signingKeys = [] }) => signingKeys),
      revocations: all.flatMap(({ revocations = [] }) => revocations),
      adminKeys: all.flatMap(({ adminKeys = [] }) => adminKeys),
      recordHead: all.findLast(({ recordHead }) => recordHead !== undefined)?.recordHead,
    })
  }
  return value
}

async function readSince(
  db: Kysely<Schema>,
  since: number,
  take: (rows: ChangedRows) => void,
): Promise<void> {
  for await (const rows of parts(db, 'environment', ['id'], since)) {
    take({ environments: z.array(environmentRow).parse(rows) })
  }
  for await (const rows of parts(db, 'apiKey', ['id'], since)) {
    take({ apiKeys: rows.map(apiKeyFromRow) })
  }
  for await (const rows of parts(db, 'signingKey', ['environmentId', 'kid'], since)) {
    take({ signingKeys: z.array(signingKeyRow).parse(rows) })
  }
  for await (const rows of parts(db, 'revocation', ['environmentId', 'kind', 'value'], since)) {
    take({ revocations: z.array(revocationRow).parse(rows) })
  }
  const adminKeys = await db.selectFrom('adminKey').selectAll().execute()
  take({ adminKeys, recordHead: await lastRecord(db) })
}

type Row = Readonly<Record<string, unknown>>

// A part may end in the middle of a revision, since a restore gives one to every row: the identity says where to go on.
async function* parts(
  db: Kysely<Schema>,
  table: keyof Schema,
  identity: readonly string[],
  since: number,
): AsyncGenerator<readonly Row[]> {
  const order = ['revision', ...identity]
  const columns = sql.join(order.map((column) => sql.ref(column)))
  // No identity is empty, so that this stands before the first row.
  let after: readonly unknown[] = [since + 1, ...identity.map(() => '')]
  for (;;) {
    const { rows } = await sql<Row>`
      select * from ${sql.table(table)} where (${columns}) > (${sql.join(after)})
      order by ${columns} limit ${ROWS_PER_PART}`.execute(db)
    if (rows.length > 0) yield rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_PER_PART) return
    after = order.map((column) => last[column])
    await freeTheLoop()
  }
}
