import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Tokens that end before their time, secret keys whose holders sign by themselves, and secrets that were handed out. */
export const revocations: Migration = {
  async up(db: Kysely<unknown>) {
    // Times are unix seconds, as in the tokens that they are compared with.
    await db.schema
      .createTable('revocation')
      .addColumn('environment_id', 'text', (column) => column.notNull().references('environment.id'))
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('value', 'text', (column) => column.notNull())
      .addColumn('before', 'bigint')
      .addColumn('until', 'bigint', (column) => column.notNull())
      .addColumn('revision', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('revocation_identity', ['environment_id', 'kind', 'value'])
      .execute()
    await db.schema
      .createIndex('revocation_in_order')
      .on('revocation')
      .columns(['revision', 'environment_id', 'kind', 'value'])
      .execute()
    await db.schema.createIndex('revocation_by_end').on('revocation').column('until').execute()

    await db.schema.alterTable('api_key').addColumn('sealed_secret', 'text').execute()
    await db.schema.alterTable('signing_key').addColumn('exported_at', 'bigint').execute()
  },
}
