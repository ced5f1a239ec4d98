import { existsSync } from 'node:fs'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { z } from 'zod'
import { StoreError } from './migrate.ts'
import { isBusy, openDatabase } from './open-sqlite.ts'
import { hasTable } from './sqlite-file.ts'

/** The tables that have ends, those first that others refer to. */
export const ENDING_TABLES = ['environment', 'api_key', 'signing_key'] as const
export type EndingTable = (typeof ENDING_TABLES)[number]

/** The tables whose rows a restore carries over, and shows to every process as new. */
export const CARRIED_TABLES = [...ENDING_TABLES, 'revocation'] as const
type CarriedTable = (typeof CARRIED_TABLES)[number]

/** The records of changes, which a restore leaves as they are. */
const RECORD_TABLES = ['change_record', 'change_aspect'] as const
type ReadTable = CarriedTable | (typeof RECORD_TABLES)[number]

/** A row by its columns, as SQLite gives it. */
export type Row = Readonly<Record<string, SQLOutputValue>>

/** What a database that is to be replaced still tells. */
export interface Replaced {
  /** Whether all of it could be read. */
  readonly whole: boolean
  readonly revision: number | undefined
  readonly rows: Readonly<Record<ReadTable, readonly Row[]>>
}

/**
 * Reads what can be read, in the schema of any version, and leaves one file that holds all of its transactions:
 * nothing may lie beside it that would be taken for the new database's. Otherwise it is as it was.
 *
 * @returns `undefined` when there is none
 * @throws StoreError when a program that knows no `jeton.lock` has it open
 */
export function readReplaced(path: string): Replaced | undefined {
  if (!existsSync(path)) return undefined
  let whole = true
  let revision: number | undefined
  const rows: Record<ReadTable, Row[]> = {
    environment: [],
    api_key: [],
    signing_key: [],
    revocation: [],
    change_record: [],
    change_aspect: [],
  }
  asFarAsItGoes(() => {
    const database = openDatabase(path)
    asFarAsItGoes(() => {
      revision = revisionOf(database)
    })
    for (const table of [...CARRIED_TABLES, ...RECORD_TABLES]) {
      asFarAsItGoes(() => {
        for (const row of rowsOf(database, table)) rows[table].push(row)
      })
    }
    asFarAsItGoes(() => database.exec('pragma journal_mode = delete'))
    database.close()
  })
  return { whole, revision, rows }

  // A damaged database may be why there is a restore. One part that cannot be read leaves the others.
  function asFarAsItGoes(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (isBusy(error))
        throw new StoreError(`Another program has ${path} open: stop it first.`, { cause: error })
      if (error instanceof StoreError) throw error
      whole = false
    }
  }
}

/** The revision of a database that has one. */
export function revisionOf(database: DatabaseSync): number | undefined {
  if (!hasTable(database, 'revision')) return undefined
  const row = database.prepare('select value from revision').get()
  return row && z.object({ value: z.number() }).parse(row).value
}

function rowsOf(database: DatabaseSync, table: ReadTable): Iterable<Row> {
  return hasTable(database, table) ? database.prepare(`select * from ${table}`).iterate() : []
}
