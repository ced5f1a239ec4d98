import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Spikes of issuance that rang, and what is still to be sent about them. */
export const alerts: Migration = {
  async up(db: Kysely<unknown>) {
    // Minutes are unix minutes. `key_id` is empty for an environment as a whole, since null equals nothing in an index.
    await db.schema
      .createTable('alert')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('environment_id', 'text', (column) => column.notNull())
      .addColumn('key_id', 'text', (column) => column.notNull())
      .addColumn('minute', 'bigint', (column) => column.notNull())
      .addColumn('issued', 'bigint', (column) => column.notNull())
      .addColumn('median', 'double precision', (column) => column.notNull())
      .addColumn('closed_minute', 'bigint')
      .addColumn('why', 'text')
      .addColumn('peak', 'bigint')
      .execute()
    // What decides which of several processes raises an alert.
    await db.schema
      .createIndex('alert_open')
      .unique()
      .on('alert')
      .columns(['environment_id', 'key_id'])
      .where(sql.ref('closed_minute'), 'is', null)
      .execute()
    await db.schema.createIndex('alert_by_end').on('alert').column('closed_minute').execute()

    await db.schema
      .createTable('alert_notice')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('body', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('attempts', 'bigint', (column) => column.notNull())
      .addColumn('due_at', 'bigint', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('alert_notice_by_turn').on('alert_notice').column('due_at').execute()
  },
}
