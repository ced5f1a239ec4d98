import type { Kysely } from 'kysely'
import { kyselyOver } from './kysely-store.ts'
import { atStart, dialectFor, SERVING } from './postgres-database.ts'
import { readPostgresUrl } from './postgres-url.ts'
import { createChangeRecords, type Explain } from './read-records.ts'
import type { Schema } from './rows.ts'
import type { ChangeRecords } from './store.ts'

/**
 * The records in a PostgreSQL.
 *
 * @throws what `explain` makes of a StoreError when it cannot be used; each look may throw it too
 */
export async function readPostgresRecords(url: string, explain: Explain): Promise<ChangeRecords> {
  const address = readPostgresUrl(url)
  const db = kyselyOver(dialectFor(address, SERVING))
  const close = () => db.destroy()
  try {
    return await createChangeRecords(look, close)
  } catch (error) {
    await close()
    throw error
  }

  async function look<T>(work: (db: Kysely<Schema>) => Promise<T>): Promise<T> {
    try {
      return await atStart(address, () => work(db))
    } catch (error) {
      throw explain(error)
    }
  }
}
