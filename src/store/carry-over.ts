import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { ENDING_TABLES, type EndingTable, type Replaced, type Row, revisionOf } from './replaced.ts'

/**
 * By what a row is found again, and the moments that end it. An end that does not stand here is undone by a restore.
 */
const ENDINGS = {
  environment: { identity: ['id'], ends: ['archived_at'] },
  api_key: { identity: ['id'], ends: ['revoked_at', 'expires_at'] },
  signing_key: { identity: ['environment_id', 'kid'], ends: ['signs_until', 'verifies_until'] },
} as const satisfies Record<EndingTable, { identity: readonly string[]; ends: readonly string[] }>

/** Something of the replaced database, for people. */
export interface Vanished {
  readonly table: EndingTable
  readonly id: string
  /** What it is called, or the hint of a key. */
  readonly label: string
}

/** Something that ends, or ended, earlier than the backup says. */
export interface Ended extends Vanished {
  readonly end: (typeof ENDINGS)[EndingTable]['ends'][number]
  /** Unix milliseconds. */
  readonly at: number
}

/** More changes than anyone made since a backup, for when the replaced database does not tell how many they were. */
const UNKNOWN_CHANGES = 1_000_000

/**
 * Takes over what no restore may undo: every end that the replaced database knows and the backup does not, the signing
 * keys that took the place of ended ones, and a revision above both, which every row gets.
 *
 * @param database the backup, in this program's schema, within a transaction
 * @param sameDataKey whether both are sealed alike, so that a signing key of the one opens in the other
 */
export function carryOver(database: DatabaseSync, replaced: Replaced | undefined, sameDataKey: boolean) {
  const ended: Ended[] = []
  const vanished: Vanished[] = []
  for (const table of ENDING_TABLES) {
    for (const row of replaced?.rows[table] ?? []) {
      if (has(database, table, row)) ended.push(...endAgain(database, table, row))
      else if (!(sameDataKey && takeOver(database, table, row))) vanished.push(described(table, row))
    }
  }
  return { ended, vanished, revision: countUp(database, replaced) }
}

function has(database: DatabaseSync, table: EndingTable, row: Row): boolean {
  const { sql, values } = identityOf(table, row)
  return database.prepare(`select 1 from ${table} where ${sql}`).get(...values) !== undefined
}

function endAgain(database: DatabaseSync, table: EndingTable, row: Row): Ended[] {
  const { sql, values } = identityOf(table, row)
  return ENDINGS[table].ends.flatMap((end) => {
    const at = row[end]
    if (typeof at !== 'number') return []
    const { changes } = database
      .prepare(`update ${table} set ${end} = ? where ${sql} and (${end} is null or ${end} > ?)`)
      .run(at, ...values, at)
    return changes === 0 ? [] : [{ ...described(table, row), end, at }]
  })
}

// An environment's own signing key takes over from one that has ended. Without it, nothing would sign there any more.
function takeOver(database: DatabaseSync, table: EndingTable, row: Row): boolean {
  if (table !== 'signing_key' || row.format !== null) return false
  if (!has(database, 'environment', { id: row.environment_id ?? null })) return false
  const known = database.prepare('select name from pragma_table_info(?)').all(table)
  const columns = known.map(({ name }) => String(name)).filter((name) => name in row)
  const places = columns.map(() => '?').join(', ')
  database
    .prepare(`insert into ${table} (${columns.join(', ')}) values (${places})`)
    .run(...columns.map((column) => row[column] ?? null))
  return true
}

function countUp(database: DatabaseSync, replaced: Replaced | undefined): number {
  const own = revisionOf(database) ?? 0
  const lost = replaced !== undefined && replaced.revision === undefined
  const other = lost ? own + UNKNOWN_CHANGES : (replaced?.revision ?? 0)
  const revision = Math.max(own, other) + 1
  database.prepare('update revision set value = ?').run(revision)
  for (const table of ENDING_TABLES) database.prepare(`update ${table} set revision = ?`).run(revision)
  return revision
}

function identityOf(table: EndingTable, row: Row): { sql: string; values: SQLOutputValue[] } {
  const { identity } = ENDINGS[table]
  return {
    sql: identity.map((column) => `${column} = ?`).join(' and '),
    values: identity.map((column) => row[column] ?? null),
  }
}

function described(table: EndingTable, row: Row): Vanished {
  return { table, id: String(row.id ?? row.kid), label: String(row.name ?? row.hint ?? row.environment_id) }
}
