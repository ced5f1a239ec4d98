import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import type { Inspection } from './inspect.ts'
import { hasTable, refuseNewer } from './migrate.ts'
import { SERVING, withPostgres } from './postgres-database.ts'
import { askServer, type PostgresServer } from './postgres-server.ts'
import { type PostgresAddress, readPostgresUrl } from './postgres-url.ts'
import type { Schema } from './rows.ts'

/** What a look at a PostgreSQL finds. */
export interface PostgresInspection extends Inspection {
  readonly address: Pick<PostgresAddress, 'name' | 'isEncrypted' | 'isRemote'>
  readonly server: PostgresServer
}

/**
 * Looks at a PostgreSQL without changing anything.
 *
 * @throws StoreError when it cannot be used, or when a newer program wrote it
 */
export async function inspectPostgres(url: string): Promise<PostgresInspection> {
  const address = readPostgresUrl(url)
  return await withPostgres(address, SERVING, async (db) => {
    const server = await askServer(db, address)
    const hasAny = (await refuseNewer(db)).length > 0
    const newest = hasAny ? await newestOf(db) : undefined
    return {
      address,
      server,
      sealedDataKey: await sealedDataKeyOf(db),
      newestAt: newest?.at ?? undefined,
      hasAdminKey: typeof newest?.admin === 'number',
    }
  })
}

async function newestOf(db: Kysely<Schema>) {
  const { rows } = await sql`
    select greatest(
        (select max(created_at) from environment), (select max(created_at) from api_key),
        (select max(created_at) from signing_key), (select max(created_at) from admin_key)) as at,
      (select max(created_at) from admin_key) as admin`.execute(db)
  return z.object({ at: z.number().nullable(), admin: z.number().nullable() }).parse(rows[0])
}

async function sealedDataKeyOf(db: Kysely<Schema>): Promise<Uint8Array | undefined> {
  if (!(await hasTable(db, 'data_key'))) return undefined
  const row = await db.selectFrom('dataKey').select('sealed').executeTakeFirst()
  return row && Buffer.from(row.sealed, 'base64url')
}
