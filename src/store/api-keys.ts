import { setImmediate as turn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { apiKeyFromRow, type Schema } from './rows.ts'
import type { ApiKey, KeyPage } from './store.ts'
import { takeWriteLock } from './write-lock.ts'

/** How many rows one transaction touches: few enough that it holds neither the event loop nor other writers for long. */
const USES_AT_ONCE = 500

export async function apiKeyOf(db: Kysely<Schema>, id: string): Promise<ApiKey | undefined> {
  const row = await db.selectFrom('apiKey').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : apiKeyFromRow(row)
}

export async function apiKeysOf(
  db: Kysely<Schema>,
  environmentId: string | undefined,
  page?: KeyPage,
): Promise<readonly ApiKey[]> {
  const all = db.selectFrom('apiKey').selectAll()
  const some = environmentId === undefined ? all : all.where('environmentId', '=', environmentId)
  if (page === undefined) {
    // Made together, the secret key comes first.
    const rows = await some.orderBy('createdAt').orderBy('kind', 'desc').orderBy('id').execute()
    return rows.map(apiKeyFromRow)
  }
  const { after, limit } = page
  const rest =
    after === undefined
      ? some
      : some.where(({ eb, refTuple, tuple }) =>
          eb(refTuple('createdAt', 'id'), '>', tuple(after.createdAt, after.id)),
        )
  const rows = await rest.orderBy('createdAt').orderBy('id').limit(limit).execute()
  return rows.map(apiKeyFromRow)
}

export async function apiKeysMadeAt(
  db: Kysely<Schema>,
  environmentId: string,
  createdAt: number,
): Promise<readonly ApiKey[]> {
  const rows = await db
    .selectFrom('apiKey')
    .selectAll()
    .where('environmentId', '=', environmentId)
    .where('createdAt', '=', createdAt)
    .orderBy('id')
    .execute()
  return rows.map(apiKeyFromRow)
}

export async function livingKeyNamed(
  db: Kysely<Schema>,
  environmentId: string,
  name: string,
  now: number,
): Promise<ApiKey | undefined> {
  const row = await db
    .selectFrom('apiKey')
    .selectAll()
    .where('environmentId', '=', environmentId)
    .where('name', '=', name)
    .where((row) => row.or([row('revokedAt', 'is', null), row('revokedAt', '>', now)]))
    .where((row) => row.or([row('expiresAt', 'is', null), row('expiresAt', '>', now)]))
    .executeTakeFirst()
  return row === undefined ? undefined : apiKeyFromRow(row)
}

/** Writes each moment to all keys that have it at once; a later one that is there already stays. */
export async function noteUses(db: Kysely<Schema>, uses: ReadonlyMap<string, number>): Promise<void> {
  const idsByMoment = Map.groupBy(uses.keys(), (id) => uses.get(id) ?? 0)
  for (const [moment, ids] of idsByMoment) {
    for (let from = 0; from < ids.length; from += USES_AT_ONCE) {
      await noteSome(db, ids.slice(from, from + USES_AT_ONCE), moment)
      await turn()
    }
  }
}

// A transaction of its own, since only the beginning of one waits for other processes (open-sqlite.ts).
async function noteSome(db: Kysely<Schema>, ids: readonly string[], lastUsedAt: number): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await takeWriteLock(transaction)
    await transaction
      .updateTable('apiKey')
      .set({ lastUsedAt })
      .where('id', 'in', ids)
      .where((row) => row.or([row('lastUsedAt', 'is', null), row('lastUsedAt', '<', lastUsedAt)]))
      .execute()
  })
}
