import type { Kysely } from 'kysely'
import { Pool, types } from 'pg'
import { kyselyOver } from './kysely-store.ts'
import { postgresDialect } from './postgres-dialect.ts'
import { createPostgresDriver } from './postgres-driver.ts'
import { toStoreError } from './postgres-errors.ts'
import type { PostgresAddress } from './postgres-url.ts'
import type { Schema } from './rows.ts'

/** How a program uses a PostgreSQL. */
export interface PostgresUse {
  readonly connections: number
  /** How long a transaction waits for a connection and for others; anything else waits as long for a connection. */
  readonly patienceMs: number
  /** How long one statement may take. */
  readonly statementMs: number
}

/** As the service itself does: nobody who asks it for something waits longer. */
export const SERVING: PostgresUse = { connections: 1, patienceMs: 5_000, statementMs: 5_000 }
/** What is done once may take its time, and who finds it under way waits for it. */
export const MOVING: PostgresUse = { connections: 1, patienceMs: 60_000, statementMs: 600_000 }

const CONNECT_WITHIN_MS = 5_000
/** A server that hangs does not end a statement by itself: this long after it should have, its connection is given up. */
const GRACE_MS = 1_000
const KEEP_ALIVE_AFTER_MS = 10_000
const IDLE_MS = 30_000
const INT8 = 20

/** A dialect for Kysely over a pool of its own, which connects when it is first used. */
export function dialectFor(address: PostgresAddress, use: PostgresUse) {
  return postgresDialect(createPostgresDriver(openPool(address, use), use.patienceMs))
}

/**
 * Lets `work` have a connection to itself.
 *
 * @throws StoreError with one line, without the password, when the database cannot be used; or what `work` throws
 */
export async function withPostgres<T>(
  address: PostgresAddress,
  use: PostgresUse,
  work: (db: Kysely<Schema>) => Promise<T>,
): Promise<T> {
  const db = kyselyOver(dialectFor(address, use))
  try {
    return await atStart(address, () => work(db))
  } finally {
    await db.destroy()
  }
}

/** Runs what a start cannot do without. @throws StoreError in place of what the database is to blame for */
export async function atStart<T>({ name }: PostgresAddress, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toStoreError(error, name)
  }
}

function openPool({ options }: PostgresAddress, { connections, patienceMs, statementMs }: PostgresUse): Pool {
  const pool = new Pool({
    ...options,
    max: connections,
    // Both for making a connection and for waiting until one is free.
    connectionTimeoutMillis: Math.min(patienceMs, CONNECT_WITHIN_MS),
    statement_timeout: statementMs,
    query_timeout: statementMs + GRACE_MS,
    idleTimeoutMillis: IDLE_MS,
    // A command ends although connections are open, even those of a server that hangs.
    allowExitOnIdle: true,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    types: { getTypeParser: parserOf },
  })
  // The pool has dropped the connection by then and makes another one when it is asked: whoever asks learns of it if that
  // fails too. Without somebody who listens, Node ends the process.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

// Revisions and times fit a number for longer than this program will be there. The driver makes texts of int8, and what
// is told to `types` itself holds for everybody in the process.
function parserOf(oid: number, format?: 'text' | 'binary') {
  return oid === INT8 ? Number : types.getTypeParser(oid, format)
}
