import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/**
 * Environments, their keys, and the revision that every change counts up. Times are unix milliseconds; what is
 * sealed is base64url text, so that the tables are the same on every database.
 */
export const foundation: Migration = {
  async up(db: Kysely<unknown>) {
    await singleRowTables(db)
    await db.schema
      .createTable('admin_key')
      .addColumn('digest', 'text', (column) => column.primaryKey())
      .addColumn('hint', 'text', (column) => column.notNull())
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .execute()
    await db.schema
      .createTable('environment')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull().unique())
      .addColumn('tag', 'text', (column) => column.notNull())
      .addColumn('signing_algorithm', 'text')
      .addColumn('turn_urls', 'text')
      .addColumn('turn_sealed_secret', 'text')
      .addColumn('created_at', 'bigint', (column) => column.notNull())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .execute()
    await keyTables(db)
    for (const table of ['environment', 'api_key', 'signing_key']) {
      await db.schema.createIndex(`${table}_by_revision`).on(table).column('revision').execute()
    }
  },
}

async function singleRowTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('revision')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .execute()
  await sql`insert into revision (id, value) values (1, 0)`.execute(db)
  // The data key seals everything secret, and is itself sealed under MASTER_KEY.
  await db.schema
    .createTable('data_key')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .execute()
}

async function keyTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('api_key')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('environment_id', 'text', (column) => column.notNull().references('environment.id'))
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('digest', 'text', (column) => column.notNull().unique())
    .addColumn('hint', 'text', (column) => column.notNull())
    .addColumn('text', 'text')
    .addColumn('grant', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .addColumn('exposed_at', 'bigint')
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('signing_key')
    .addColumn('environment_id', 'text', (column) => column.notNull().references('environment.id'))
    .addColumn('kid', 'text', (column) => column.notNull())
    .addColumn('format', 'text')
    .addColumn('algorithm', 'text', (column) => column.notNull())
    .addColumn('sealed_secret', 'text', (column) => column.notNull())
    .addColumn('public_jwk', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('signing_key_identity', ['environment_id', 'kid'])
    .execute()
}
