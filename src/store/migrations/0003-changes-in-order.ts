import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What changed is read in parts, in the order of its revision: an index that holds the whole order finds each at once. */
export const changesInOrder: Migration = {
  async up(db: Kysely<unknown>) {
    const identities = { environment: ['id'], api_key: ['id'], signing_key: ['environment_id', 'kid'] }
    for (const [table, identity] of Object.entries(identities)) {
      await db.schema.dropIndex(`${table}_by_revision`).execute()
      await db.schema
        .createIndex(`${table}_in_order`)
        .on(table)
        .columns(['revision', ...identity])
        .execute()
    }
  },
}
