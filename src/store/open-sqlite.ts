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
import { createPrivateFile } from './files.ts'
import { createKyselyStore } from './kysely-store.ts'
import { StoreError } from './migrate.ts'
import type { Store } from './store.ts'

/** How long a transaction waits for another process's, without holding the event loop. */
const LOCK_PATIENCE_MS = 5_000
const LOCK_RETRY_MS = 10
/** How long SQLite itself may wait inside a call, and so hold the event loop. */
const BUSY_TIMEOUT_MS = 2

/**
 * Opens the embedded database, creating the file when it is not there.
 *
 * @throws StoreError when the file cannot be opened or is no database of ours
 */
export function openSqlite(path: string): Store {
  try {
    return createKyselyStore(dialect(openDatabase(path)), isUniqueViolation)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StoreError(`The database ${path} cannot be opened: ${reason}`, { cause: error })
  }
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

function dialect(database: DatabaseSync): Dialect {
  return {
    createDriver: () => new ImmediateDriver({ database: asKyselyDatabase(database) }),
    createAdapter: () => new TransactionalDdlAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

function asKyselyDatabase(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => database.close(),
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
// loop free.
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    const attempts = LOCK_PATIENCE_MS / (LOCK_RETRY_MS + BUSY_TIMEOUT_MS)
    for (let attempt = 1; ; attempt += 1) {
      try {
        await connection.executeQuery(CompiledQuery.raw('begin immediate'))
        return
      } catch (error) {
        if (!isBusy(error) || attempt >= attempts) throw error
        await sleep(LOCK_RETRY_MS)
      }
    }
  }
}

// SQLite's DDL is transactional; Kysely's adapter says otherwise, out of caution for statements we do not use.
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

// Result codes: https://sqlite.org/rescode.html
const SQLITE_BUSY = 5
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555
const SQLITE_CONSTRAINT_UNIQUE = 2067

/** Whether SQLite says that another connection is in the way. */
export function isBusy(error: unknown): boolean {
  return (resultCodeOf(error) ?? 0) % 256 === SQLITE_BUSY
}

function isUniqueViolation(error: unknown): boolean {
  const code = resultCodeOf(error)
  return code === SQLITE_CONSTRAINT_UNIQUE || code === SQLITE_CONSTRAINT_PRIMARYKEY
}

function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}
