import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What environments and keys go through after they were made: settings, archiving, rotation, use. */
export const lifecycle: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable('environment').addColumn('archived_at', 'bigint').execute()
    await db.schema.alterTable('environment').addColumn('settings', 'text').execute()

    await db.schema.alterTable('api_key').addColumn('name', 'text').execute()
    await db.schema.alterTable('api_key').addColumn('access', 'text').execute()
    await db.schema.alterTable('api_key').addColumn('successor_id', 'text').execute()
    await db.schema.alterTable('api_key').addColumn('last_used_at', 'bigint').execute()

    // A key of before signs from the beginning, and until another one takes over.
    await db.schema
      .alterTable('signing_key')
      .addColumn('signs_from', 'bigint', (column) => column.notNull().defaultTo(0))
      .execute()
    await db.schema.alterTable('signing_key').addColumn('signs_until', 'bigint').execute()
    await db.schema.alterTable('signing_key').addColumn('verifies_until', 'bigint').execute()

    // What creating calls with an Idempotency-Key came to, without their secrets.
    await db.schema
      .createTable('idempotent_call')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('fingerprint', 'text', (column) => column.notNull())
      .addColumn('result', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .execute()
  },
}
