import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What was issued and refused by minute and by hour, who it was for by day, and how far each chain is counted. */
export const usage: Migration = {
  async up(db: Kysely<unknown>) {
    // No reference to environments: a journal may tell of one that a restore took away.
    for (const table of ['usage_minute', 'usage_hour']) {
      const order = ['environment_id', 'minute', 'key_id', 'format', 'outcome'] as const
      await db.schema
        .createTable(table)
        .addColumn('environment_id', 'text', (column) => column.notNull())
        // Unix minutes; of an hour, its first one.
        .addColumn('minute', 'bigint', (column) => column.notNull())
        .addColumn('key_id', 'text', (column) => column.notNull())
        .addColumn('format', 'text', (column) => column.notNull())
        .addColumn('outcome', 'text', (column) => column.notNull())
        .addColumn('count', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint(`${table}_identity`, [...order])
        .execute()
      // For questions about all environments, and to find what is old.
      await db.schema
        .createIndex(`${table}_in_time`)
        .on(table)
        .columns(['minute', 'environment_id', 'key_id', 'format', 'outcome'])
        .execute()
    }
    await db.schema
      .createTable('usage_subjects')
      .addColumn('environment_id', 'text', (column) => column.notNull())
      // Days since 1970, UTC.
      .addColumn('day', 'bigint', (column) => column.notNull())
      .addColumn('sketch', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('usage_subjects_identity', ['environment_id', 'day'])
      .execute()
    await db.schema.createIndex('usage_subjects_in_time').on('usage_subjects').column('day').execute()
    await db.schema
      .createTable('usage_mark')
      .addColumn('chain', 'text', (column) => column.notNull().primaryKey())
      .addColumn('counted', 'bigint', (column) => column.notNull())
      // Unix minutes.
      .addColumn('written', 'bigint', (column) => column.notNull())
      .execute()
  },
}
