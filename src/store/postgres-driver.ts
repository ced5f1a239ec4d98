import type { CompiledQuery, DatabaseConnection, Driver } from 'kysely'
import type { Pool, PoolClient, QueryResult } from 'pg'
import { isAftermath, losesConnection, toUnavailable, toUncertain } from './postgres-errors.ts'

/** A connection while somebody has it. */
interface Lease {
  readonly client: PoolClient
  /** Until when a transaction on it may wait for others, on the monotonic clock. */
  readonly waitsUntil: number
  /** Whether it is to be given up: what the server made of the last statement, or whether it lives, is unknown. */
  isLost: boolean
  /** What failed first on it. */
  failure: unknown
}

/** How long a transaction may do nothing before the server ends it, since everybody else waits for its lock. */
const IDLE_IN_TRANSACTION_MS = 10_000

/**
 * Runs Kysely's queries on the connections of a pool. Whatever keeps the database from answering becomes
 * `store_unavailable`.
 *
 * @param patienceMs how long a transaction waits for a connection and then for its lock, together
 */
export function createPostgresDriver(pool: Pool, patienceMs: number): Driver {
  const leases = new WeakMap<DatabaseConnection, Lease>()
  return {
    init: async () => undefined,
    acquireConnection,
    releaseConnection,
    beginTransaction,
    commitTransaction,
    rollbackTransaction,
    destroy: () => pool.end(),
  }

  async function acquireConnection(): Promise<DatabaseConnection> {
    const waitsUntil = performance.now() + patienceMs
    const client = await pool.connect().catch((error: unknown) => {
      throw toUnavailable(error)
    })
    const lease: Lease = { client, waitsUntil, isLost: false, failure: undefined }
    const connection = connectionOf(lease)
    leases.set(connection, lease)
    return connection
  }

  async function releaseConnection(connection: DatabaseConnection): Promise<void> {
    const { client, isLost } = leaseOf(connection)
    client.release(isLost)
  }

  // The level is said, since the database may have another default: with a snapshot of its beginning, a transaction that
  // waited for its lock would have to fail. Nothing outlives the transaction, so that a pooler may stand in between.
  async function beginTransaction(connection: DatabaseConnection): Promise<void> {
    const lease = leaseOf(connection)
    const waitMs = Math.max(1, Math.round(lease.waitsUntil - performance.now()))
    await run(
      lease,
      `begin isolation level read committed; set local lock_timeout = ${waitMs}; set local idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS}`,
    )
  }

  async function commitTransaction(connection: DatabaseConnection): Promise<void> {
    const lease = leaseOf(connection)
    const { command } = await lease.client.query('commit').catch((error: unknown) => {
      lease.isLost ||= losesConnection(error)
      throw toUncertain(error)
    })
    if (command !== 'COMMIT')
      throw new Error('A statement had failed, and PostgreSQL rolled the transaction back')
  }

  // What made it necessary is what the caller is told. A connection that cannot even do this is given up, and the
  // server rolls back what its client left.
  async function rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const lease = leaseOf(connection)
    if (lease.isLost) return
    await lease.client.query('rollback').catch(() => {
      lease.isLost = true
    })
  }

  function leaseOf(connection: DatabaseConnection): Lease {
    const lease = leases.get(connection)
    if (lease === undefined) throw new Error('This connection is not of this pool')
    return lease
  }
}

function connectionOf(lease: Lease): DatabaseConnection {
  return {
    async executeQuery({ sql, parameters }: CompiledQuery) {
      const { rows, rowCount } = await run(lease, sql, parameters.map(toSql))
      return { rows, numAffectedRows: BigInt(rowCount ?? 0) }
    },
    // biome-ignore lint/correctness/useYield: nothing here is read as a stream.
    async *streamQuery() {
      throw new Error('The store reads in parts, not as a stream')
    },
  }
}

// PostgreSQL takes no NUL, which an id in a path may hold. What is written was checked for control characters long before,
// so that this one is in no text of ours and stands before all of them, as a NUL does.
function toSql(value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('\0', '\u0001') : value
}

async function run(lease: Lease, sql: string, values?: unknown[]): Promise<QueryResult> {
  try {
    return await lease.client.query(sql, values)
  } catch (error) {
    lease.isLost ||= losesConnection(error)
    // Kysely's migrator looks around behind a failure, and would report what came of that.
    if (!isAftermath(error)) lease.failure ??= error
    throw toUnavailable(lease.failure ?? error)
  }
}
