import { createHash, type Hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type Kysely, sql, type Transaction } from 'kysely'
import { type Witness, writeRecord } from './change-records.ts'
import { removeDatabase } from './files.ts'
import { FILE_NAME, holdAlone } from './hold.ts'
import { countUp } from './kysely-store.ts'
import { hasTable, migrateWithin, refuseNewer, StoreError } from './migrate.ts'
import { lockMigrations } from './open-postgres.ts'
import { openSqlite } from './open-sqlite.ts'
import { MOVING, withPostgres } from './postgres-database.ts'
import { askServer } from './postgres-server.ts'
import { readPostgresUrl } from './postgres-url.ts'
import type { Schema } from './rows.ts'
import { copyDatabase, openForReading } from './sqlite-file.ts'
import { namesOf, type Table, tablesOf } from './tables.ts'

/** How many rows travel at once: few enough that their values fit the 65,535 parameters of one statement. */
const ROWS_AT_ONCE = 500

/** What was moved. */
export interface Moved {
  /** Where to, for people. */
  readonly to: string
  /** How many rows of each table. */
  readonly rows: Readonly<Record<string, number>>
}

type Values = readonly unknown[]

/**
 * Moves everything that an embedded database holds into a PostgreSQL, in one transaction there, and compares both before
 * it ends. The embedded one stays as it is. A record of the move comes behind the records that were moved.
 *
 * @throws StoreError when a Jeton has it open, when it is no whole database, when the other one cannot be used or holds a
 *   Jeton already; nothing was changed then
 */
export async function moveToPostgres(path: string, url: string, witness: Witness): Promise<Moved> {
  const address = readPostgresUrl(url)
  // Where there is no lock, nobody has opened it yet: a backup, whose folder stays as it is.
  const held = existsSync(join(dirname(path), FILE_NAME)) ? holdAlone(path) : undefined
  const draft = `${path}.moving`
  try {
    removeDatabase(draft)
    await copyDatabase(path, draft)
    await bringUpToDate(draft)
    const source = openForReading(draft)
    try {
      const rows = await withPostgres(address, MOVING, async (db) => {
        await askServer(db, address)
        return await db.transaction().execute(async (target) => {
          const counts = await fill(target, source, address.name)
          await recordMove(target, witness)
          return counts
        })
      })
      return { to: address.name, rows }
    } finally {
      source.close()
    }
  } finally {
    removeDatabase(draft)
    held?.release()
  }
}

async function bringUpToDate(draft: string): Promise<void> {
  const store = openSqlite(draft)
  try {
    await store.prepare()
  } finally {
    await store.close()
  }
}

async function fill(target: Kysely<Schema>, source: DatabaseSync, name: string) {
  await lockMigrations(target)
  await refuseNewer(target)
  if (await isTaken(target)) {
    throw new StoreError(
      `The database ${name} holds a Jeton already: give it an empty one. Nothing was changed.`,
    )
  }
  await migrateWithin(target)
  const tables = tablesOf(source)
  // What a migration puts into its tables is among what is moved.
  for (const table of tables.toReversed()) await sql`delete from ${sql.table(table.name)}`.execute(target)
  const counts: Record<string, number> = {}
  for (const table of tables) counts[table.name] = await moveTable(target, source, table, name)
  return counts
}

// What was done on the old database from then on is in another chain, and this says where it begins.
async function recordMove(target: Transaction<Schema>, { now, actor }: Witness): Promise<void> {
  const revision = await countUp(target)
  const changes = [{ what: 'database moved', set: { to: 'postgres' } }]
  await writeRecord(target, { revision, at: now(), actor: actor(), changes })
}

async function isTaken(target: Kysely<Schema>): Promise<boolean> {
  if (!(await hasTable(target, 'revision'))) return false
  const { value } = await target.selectFrom('revision').select('value').executeTakeFirstOrThrow()
  const sealed = await target.selectFrom('dataKey').select('id').executeTakeFirst()
  return value > 0 || sealed !== undefined
}

async function moveTable(
  target: Kysely<Schema>,
  source: DatabaseSync,
  table: Table,
  name: string,
): Promise<number> {
  const sent = createHash('sha256')
  let count = 0
  for (const rows of batchesOf(source, table)) {
    await insert(target, table, rows)
    note(sent, rows)
    count += rows.length
  }
  const found = await digestOf(target, table)
  if (found !== sent.digest('hex')) {
    throw new StoreError(
      `The database ${name} did not take the rows of ${table.name} as they are. Nothing was changed.`,
    )
  }
  return count
}

function* batchesOf(source: DatabaseSync, { name, columns, identity }: Table): Generator<Values[]> {
  const statement = source.prepare(
    `select ${namesOf(columns)} from ${namesOf([name])} order by ${namesOf(identity)}`,
  )
  let rows: Values[] = []
  for (const row of statement.iterate()) {
    rows.push(columns.map((column) => row[column]))
    if (rows.length < ROWS_AT_ONCE) continue
    yield rows
    rows = []
  }
  if (rows.length > 0) yield rows
}

async function insert(target: Kysely<Schema>, { name, columns }: Table, rows: readonly Values[]) {
  const names = sql.join(columns.map((column) => sql.id(column)))
  const values = sql.join(rows.map((row) => sql`(${sql.join(row)})`))
  await sql`insert into ${sql.table(name)} (${names}) values ${values}`.execute(target)
}

// In the order of the identity, which both databases sort alike.
async function digestOf(target: Kysely<Schema>, { name, columns, identity }: Table): Promise<string> {
  const names = sql.join(columns.map((column) => sql.id(column)))
  const order = sql.join(identity.map((column) => sql.id(column)))
  const plain = target.withoutPlugins()
  await sql`declare moved no scroll cursor for select ${names} from ${sql.table(name)} order by ${order}`.execute(
    plain,
  )
  const found = createHash('sha256')
  for (;;) {
    const { rows } = await sql<Record<string, unknown>>`fetch ${sql.lit(ROWS_AT_ONCE)} from moved`.execute(
      plain,
    )
    if (rows.length === 0) break
    note(
      found,
      rows.map((row) => columns.map((column) => row[column])),
    )
  }
  await sql`close moved`.execute(plain)
  return found.digest('hex')
}

function note(digest: Hash, rows: readonly Values[]): void {
  for (const row of rows) digest.update(`${JSON.stringify(row.map(comparable))}\n`)
}

function comparable(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
}
