import { type Kysely, sql, type Transaction } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from './migrations/migrations.ts'

/** A database that this program cannot use as it is. The message is for whoever starts it. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}

/**
 * Brings the database to this program's schema: every missing migration in one transaction, or none.
 *
 * @param takeLock keeps others from doing the same until the transaction ends, where its beginning alone does not
 * @throws StoreError when the database has migrations that this program does not know; nothing is changed then
 */
export async function migrate<Schema>(
  db: Kysely<Schema>,
  takeLock?: (transaction: Transaction<Schema>) => Promise<void>,
): Promise<void> {
  if (isComplete(await refuseNewer(db))) return
  await db.transaction().execute(async (transaction) => {
    await takeLock?.(transaction)
    // Another process, of another version even, may have been first.
    if (!isComplete(await refuseNewer(transaction))) await migrateWithin(transaction)
  })
}

/** Runs every missing migration in a transaction of the caller's. */
export async function migrateWithin<Schema>(transaction: Kysely<Schema>): Promise<void> {
  const provider = { getMigrations: async () => migrations }
  const { error } = await new Migrator({ db: transaction, provider }).migrateToLatest()
  if (error !== undefined) throw error
}

/**
 * The names of the migrations that the database has.
 *
 * @throws StoreError when the database is newer than the program
 */
export async function refuseNewer<Schema>(db: Kysely<Schema>): Promise<string[]> {
  const applied = await appliedMigrations(db)
  refuseUnknown(applied)
  return applied
}

/** @throws StoreError when one of these migrations is not known here */
export function refuseUnknown(applied: readonly string[]): void {
  const unknown = applied.filter((name) => !(name in migrations))
  if (unknown.length === 0) return
  throw new StoreError(
    `The database was written by a newer Jeton (it has ${unknown.join(', ')}, which this one does not know). ` +
      'Start that version, or restore a backup made by this one. Nothing was changed.',
  )
}

function isComplete(applied: readonly string[]): boolean {
  return applied.length === Object.keys(migrations).length
}

/** Whether the database has a table of this name. */
export async function hasTable<Schema>(db: Kysely<Schema>, name: string): Promise<boolean> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  return tables.some((table) => table.name === name)
}

async function appliedMigrations<Schema>(db: Kysely<Schema>): Promise<string[]> {
  if (!(await hasTable(db, 'kysely_migration'))) return []
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
  return rows.map((row) => row.name)
}
