import type { Transaction } from 'kysely'
import type { Schema } from './rows.ts'

/**
 * Waits until no other transaction writes, as every change does by counting the revision up; this one leaves it as it is.
 * SQLite locks the whole database anyway. PostgreSQL locks rows: two transactions that touch the same ones in another order
 * would wait for each other until one of them fails.
 */
export async function takeWriteLock(transaction: Transaction<Schema>): Promise<void> {
  await transaction
    .updateTable('revision')
    .set((row) => ({ value: row.ref('value') }))
    .execute()
}
