import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { JetonError } from '../domain/errors.ts'
import type { Witness } from './change-records.ts'
import { createPlaceCheck, createPrivateFile } from './files.ts'
import { conflict, createKyselyStore } from './kysely-store.ts'
import { StoreError } from './migrate.ts'
import type { Store } from './store.ts'
import { createTurns, type Turns } from './turns.ts'

/** How long a transaction waits for others, of this process and of another, without holding the event loop. */
const LOCK_PATIENCE_MS = 5_000
const LOCK_RETRY_MS = 10
/** How long SQLite itself may wait inside a call, and so hold the event loop. */
const BUSY_TIMEOUT_MS = 2

/**
 * Opens the embedded database, creating the file when it is not there.
 *
 * @param options.patienceMs how long a change waits before it ends as `store_unavailable`
 * @param options.witness tells what changes when, and on whose behalf
 * @throws StoreError when the file cannot be opened or is no database of ours
 */
export function openSqlite(
  path: string,
  { patienceMs = LOCK_PATIENCE_MS, witness }: { patienceMs?: number; witness?: Witness } = {},
): Store {
  const opened: DatabaseSync[] = []
  try {
    const writing = openDatabase(path)
    opened.unshift(writing)
    const refuseMoved = path === ':memory:' ? () => undefined : createPlaceCheck(path)
    const writes = dialect(new ImmediateDriver(writing, patienceMs, refuseMoved), new WritingAdapter())
    // A database in memory is its connection's alone.
    if (path === ':memory:') return closing(createKyselyStore({ writes, explain, witness }), opened)
    const reading = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
    opened.unshift(reading)
    const reads = readingDialect(reading, refuseMoved)
    return closing(createKyselyStore({ writes, reads, explain, witness }), opened)
  } catch (error) {
    closeAll(opened)
    const reason = error instanceof Error ? error.message : String(error)
    throw new StoreError(`The database ${path} cannot be opened: ${reason}`, { cause: error })
  }
}

// Kysely leaves a connection open that was never used. The one that writes is the last to close: it alone can put what
// lies beside the file into it.
function closing(store: Store, opened: readonly DatabaseSync[]): Store {
  return { ...store, close: () => store.close().finally(() => closeAll(opened)) }
}

function closeAll(opened: readonly DatabaseSync[]): void {
  for (const database of opened) if (database.isOpen) database.close()
}

/** Opens the file for writing, creating it when it is not there, with every setting that this program relies on. */
export function openDatabase(path: string): DatabaseSync {
  if (path !== ':memory:') createPrivateFile(path)
  // Another process may be switching the same new file to WAL, which needs it alone for a moment.
  const database = new DatabaseSync(path, { timeout: LOCK_PATIENCE_MS, enableForeignKeyConstraints: true })
  database.exec('pragma journal_mode = wal')
  database.exec('pragma synchronous = full')
  database.exec(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`)
  return database
}

/**
 * How Kysely reads a database that somebody else closes.
 *
 * @param check comes before each question, and throws what is wrong
 */
export function readingDialect(database: DatabaseSync, check: () => void = () => undefined): Dialect {
  const { prepare, ...rest } = asKyselyDatabase(database)
  const checked = (sql: string) => {
    check()
    return prepare(sql)
  }
  return dialect(new SqliteDriver({ database: { ...rest, prepare: checked } }), new SqliteAdapter())
}

function dialect(driver: SqliteDriver, adapter: SqliteAdapter): Dialect {
  return {
    createDriver: () => driver,
    createAdapter: () => adapter,
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

function asKyselyDatabase(database: DatabaseSync): SqliteDatabase {
  return {
    // `closeAll` does it, in the right order.
    close: () => undefined,
    prepare: (sql) => {
      const statement = database.prepare(sql)
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...toSql(parameters)),
        run: (parameters) => statement.run(...toSql(parameters)),
        iterate: (parameters) => statement.iterate(...toSql(parameters)),
      }
    },
  }
}

function toSql(parameters: readonly unknown[]) {
  return parameters.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number') return value
    throw new TypeError(`The store binds text, numbers and null, not ${typeof value}`)
  })
}

// Kysely's driver begins a deferred transaction, which cannot wait once another process has written since it
// read. Taking the write lock at once makes every transaction whole, and waiting for it here leaves the event
// loop free. The wait for the connection, behind the transactions of this process, is a part of the same patience.
class ImmediateDriver extends SqliteDriver {
  readonly #database: DatabaseSync
  readonly #patienceMs: number
  readonly #refuseMoved: () => void
  readonly #turns: Turns
  #waitsUntil = 0

  constructor(database: DatabaseSync, patienceMs: number, refuseMoved: () => void) {
    super({ database: asKyselyDatabase(database) })
    this.#database = database
    this.#refuseMoved = refuseMoved
    this.#patienceMs = patienceMs
    this.#turns = createTurns(patienceMs, () => waitedTooLong(new Error('Other changes were in the way')))
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const waitsUntil = performance.now() + this.#patienceMs
    await this.#turns.take()
    try {
      this.#refuseMoved()
    } catch (error) {
      this.#turns.end()
      throw error
    }
    this.#waitsUntil = waitsUntil
    return await super.acquireConnection()
  }

  override async releaseConnection(): Promise<void> {
    this.#turns.end()
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    for (;;) {
      try {
        await connection.executeQuery(CompiledQuery.raw('begin immediate'))
        return
      } catch (error) {
        if (!isBusy(error)) throw error
        if (performance.now() >= this.#waitsUntil) throw waitedTooLong(error)
        await sleep(LOCK_RETRY_MS)
      }
    }
  }

  // The disk may have taken the whole change before it failed, and a later start would find it there.
  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.commitTransaction(connection)
    } catch (cause) {
      if (!isOf(cause, SQLITE_IOERR)) throw cause
      const message =
        'The disk failed while this change was being written. It may have been made: look before you try again.'
      throw new JetonError('store_unavailable', message, { cause })
    }
  }

  // A full disk or a failing one has ended the transaction already.
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.isTransaction) await super.rollbackTransaction(connection)
  }
}

function waitedTooLong(cause: unknown): JetonError {
  const message =
    'The database is being written to by others for too long. This change was not made. Try again soon.'
  return new JetonError('store_unavailable', message, { retryAfterSeconds: 1, cause })
}

class WritingAdapter extends SqliteAdapter {
  // SQLite's DDL is transactional; Kysely's adapter says otherwise, out of caution for statements we do not use.
  override get supportsTransactionalDdl(): boolean {
    return true
  }

  // There is one, and the driver hands it out: Kysely's own queue would have no patience to end.
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

// Result codes: https://sqlite.org/rescode.html
const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555
const SQLITE_CONSTRAINT_UNIQUE = 2067

/** Whether SQLite says that another connection is in the way. */
export function isBusy(error: unknown): boolean {
  return isOf(error, SQLITE_BUSY)
}

/** What an error of SQLite's means to whoever wanted to change something. */
export function explain(error: unknown): unknown {
  const code = resultCodeOf(error)
  if (code === SQLITE_CONSTRAINT_UNIQUE || code === SQLITE_CONSTRAINT_PRIMARYKEY) return conflict(error)
  const isDiskToBlame = [SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN].some((kind) =>
    isOf(error, kind),
  )
  if (!isDiskToBlame) return error
  const message =
    'The disk of the database is full, or cannot be written to. This change was not made. Try again later.'
  return new JetonError('store_unavailable', message, { retryAfterSeconds: 10, cause: error })
}

// The lowest byte is the kind of an error, what is above it says more of it.
function isOf(error: unknown, kind: number): boolean {
  return (resultCodeOf(error) ?? 0) % 256 === kind
}

function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}
