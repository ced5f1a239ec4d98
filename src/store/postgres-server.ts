import { type Kysely, sql } from 'kysely'
import { z } from 'zod'
import { StoreError } from './migrate.ts'
import type { PostgresAddress } from './postgres-url.ts'
import type { Schema } from './rows.ts'

/** The oldest one that a fault would be mended for. What comes after it has all that is used here. */
const OLDEST_VERSION = 13

const server = z.object({
  /** As 15.4. */
  version: z.string(),
  major: z.number(),
  encoding: z.string(),
  /** Where the tables are or will be; `null` when the search path names none that is there for this user. */
  schema: z.string().nullable(),
  /** Whether it takes no changes: a standby, or set so for this user or database. */
  readOnly: z.boolean(),
  /** Unix milliseconds by its clock. */
  now: z.number(),
})

/** What a server says about itself. */
export type PostgresServer = z.infer<typeof server>

/**
 * Asks the server what it is.
 *
 * @throws StoreError when it is none that the tables could be in
 */
export async function askServer(
  db: Kysely<Schema>,
  { name }: Pick<PostgresAddress, 'name'>,
): Promise<PostgresServer> {
  const { rows } = await sql`
    select current_setting('server_version') as version,
      current_setting('server_version_num')::int / 10000 as major,
      current_setting('server_encoding') as encoding,
      current_schema() as schema,
      current_setting('transaction_read_only') = 'on' as "readOnly",
      (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
  const told = server.parse(rows[0])
  if (told.major < OLDEST_VERSION) {
    throw unfit(name, `is PostgreSQL ${told.version}; ${OLDEST_VERSION} is the oldest that will do`)
  }
  // Names may be in any script.
  if (told.encoding !== 'UTF8') throw unfit(name, `has the encoding ${told.encoding}; it must be UTF8`)
  if (told.schema === null) {
    throw unfit(
      name,
      'has no schema for this user: create the one that its search_path names, and grant USAGE',
    )
  }
  return told
}

function unfit(name: string, what: string): StoreError {
  return new StoreError(`The database ${name} ${what}. Nothing was changed.`)
}
