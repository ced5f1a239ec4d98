import { type Kysely, sql } from 'kysely'
import type { Witness } from './change-records.ts'
import { conflict, createKyselyStore } from './kysely-store.ts'
import { migrate } from './migrate.ts'
import { atStart, dialectFor, MOVING, type PostgresUse, SERVING, withPostgres } from './postgres-database.ts'
import { isUniqueViolation } from './postgres-errors.ts'
import { askServer } from './postgres-server.ts'
import { readPostgresUrl } from './postgres-url.ts'
import type { Store } from './store.ts'

/** Changes come one after another anyway, in all processes. Reads have connections of their own, so as not to wait for them. */
const READING_CONNECTIONS = 4

/** Any number that no other program takes. */
const MIGRATION_LOCK = 0x6a65746f6e

/**
 * Opens a PostgreSQL database.
 *
 * @param options.use how long changes and statements may take
 * @param options.witness tells what changes when, and on whose behalf
 * @throws StoreError with one line, without the password, when it cannot be used
 */
export async function openPostgres(
  url: string,
  { use = SERVING, witness }: { use?: PostgresUse; witness?: Witness } = {},
): Promise<Store> {
  const address = readPostgresUrl(url)
  await withPostgres(address, use, (db) => askServer(db, address))
  const store = createKyselyStore({
    writes: dialectFor(address, use),
    reads: dialectFor(address, { ...use, connections: READING_CONNECTIONS }),
    explain: (error) => (isUniqueViolation(error) ? conflict(error) : error),
    witness,
  })
  return {
    ...store,
    sealedDataKey: () => atStart(address, store.sealedDataKey),
    prepare: () => withPostgres(address, MOVING, (db) => migrate(db, lockMigrations)),
  }
}

/** Lets nobody else change the tables until the transaction ends. */
export async function lockMigrations<Schema>(transaction: Kysely<Schema>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${sql.lit(MIGRATION_LOCK)})`.execute(transaction)
}
