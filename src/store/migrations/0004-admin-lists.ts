import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What the lists of keys, their names and remembered calls are found by. */
export const adminLists: Migration = {
  async up(db: Kysely<unknown>) {
    // In the order of a list's pages.
    await db.schema
      .createIndex('api_key_by_environment')
      .on('api_key')
      .columns(['environment_id', 'created_at', 'id'])
      .execute()
    // Not unique: a name is free again once its key has ended, which no index can know (keys/key-names.ts).
    await db.schema.createIndex('api_key_by_name').on('api_key').columns(['environment_id', 'name']).execute()
    await db.schema.createIndex('idempotent_call_by_age').on('idempotent_call').column('created_at').execute()
  },
}
