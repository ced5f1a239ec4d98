import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What changed, who changed it and when: a chain of records, and what each of them is found by. */
export const changeRecords: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable('change_record')
      .addColumn('revision', 'bigint', (column) => column.primaryKey())
      .addColumn('n', 'bigint', (column) => column.notNull())
      .addColumn('at', 'text', (column) => column.notNull())
      .addColumn('line', 'text', (column) => column.notNull())
      .addColumn('sha256', 'text', (column) => column.notNull())
      .execute()
    await db.schema
      .createIndex('change_record_in_time')
      .on('change_record')
      .columns(['at', 'revision'])
      .execute()
    await db.schema
      .createTable('change_aspect')
      .addColumn('aspect', 'text', (column) => column.notNull())
      .addColumn('value', 'text', (column) => column.notNull())
      .addColumn('revision', 'bigint', (column) => column.notNull().references('change_record.revision'))
      .addPrimaryKeyConstraint('change_aspect_identity', ['aspect', 'value', 'revision'])
      .execute()
    await db.schema.createIndex('change_aspect_by_revision').on('change_aspect').column('revision').execute()
  },
}
