import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { z } from 'zod'
import { flagAgain, isNameTaken, type Newcomer, sortKeys } from './carry-keys.ts'
import { CARRIED_TABLES, type EndingTable, type Replaced, type Row, revisionOf } from './replaced.ts'

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
  /** Whose it is; `undefined` for an environment. */
  readonly environmentId: string | undefined
}

/** Something that the backup does not have, and that is not taken over. */
export interface Gone extends Vanished {
  /** Whether it would stay, but is sealed under a data key that is not the backup's. */
  readonly sealedOtherwise: boolean
}

/** Something that ends, or ended, earlier than the backup says. */
export interface Ended extends Vanished {
  readonly end: (typeof ENDINGS)[EndingTable]['ends'][number]
  /** Unix milliseconds. */
  readonly at: number
}

/** A key that was exposed after the backup. */
export interface Exposed extends Vanished {
  /** Unix milliseconds. */
  readonly at: number
}

/** A key that took the place of one in the backup, and is kept. */
export interface Kept extends Vanished {
  /** Whether it kept its name, which a living key of the backup may have. */
  readonly named: boolean
}

/** More changes than anyone made since a backup, for when no database tells how many they were. */
const UNKNOWN_CHANGES = 1_000_000

/** How an environment's signing keys in the replaced database stand to those in the backup. */
type Kinship = 'stranger' | 'relative' | 'descendant'

/** When a signing key signs. Before keys rotated, their table had none of these columns. */
const period = z.object({
  signs_from: z.number(),
  signs_until: z.number().nullable(),
  verifies_until: z.number().nullable(),
})

/**
 * Takes over what no restore may undo: every end that the replaced database knows and the backup does not, that a key was
 * exposed or rotated, the successors, signing keys as they stand, keys and tokens that were revoked, and a revision above
 * both, which every row gets.
 *
 * @param database the backup, in this program's schema, within a transaction
 * @param now unix milliseconds
 */
export function carryOver(database: DatabaseSync, replaced: Replaced | undefined, now: number) {
  const ended: Ended[] = []
  const exposed: Exposed[] = []
  const kept: Kept[] = []
  const vanished: Gone[] = []
  const { environment = [], api_key = [], signing_key = [], revocation = [] } = replaced?.rows ?? {}
  for (const row of environment) carry('environment', row, false)
  const families = [...Map.groupBy(signing_key, (row) => row.environment_id ?? null)].map(([id, rows]) => ({
    id,
    rows,
    kinship: kinshipOf(database, id, rows),
  }))
  carryKeys()
  for (const { rows, kinship } of families) {
    for (const row of rows) {
      carry('signing_key', row, kinship !== 'stranger')
      // A roll back takes an end back, and starting a successor at once brings its beginning forward. Ends alone could
      // leave neither of the two keys to sign.
      if (kinship === 'descendant') takeOver(database, 'signing_key', row)
    }
  }
  const revocations = carryRevocations(database, revocation)
  return { ended, exposed, kept, vanished, revocations, revision: countUp(database, replaced) }

  function carry(table: EndingTable, row: Row, keeps: boolean): void {
    if (has(database, table, row)) ended.push(...endAgain(database, table, row))
    else if (!(keeps && takeOver(database, table, row))) letGo(table, row, false)
  }

  // All that ends is ended before a name is looked for among the living.
  function carryKeys(): void {
    const { known, newcomers } = sortKeys(api_key, (row) => has(database, 'api_key', row))
    for (const row of known) {
      carry('api_key', row, false)
      const at = flagAgain(database, row)
      if (at !== undefined) exposed.push({ ...described('api_key', row), at })
    }
    for (const newcomer of newcomers) {
      if (newcomer.standing === 'successor') keep(newcomer)
      else carry('api_key', newcomer.row, newcomer.standing === 'revoked')
    }
  }

  function keep(newcomer: Newcomer): void {
    const { row } = newcomer
    const family = families.find(({ id }) => id === row.environment_id)
    const opens = typeof row.sealed_secret !== 'string' || (family?.kinship ?? 'stranger') !== 'stranger'
    // A text that does not open may stand in the row of a key that has ended: nobody opens it.
    if (!opens && typeof row.revoked_at !== 'number') {
      letGo('api_key', row, true)
      return
    }
    const named = !isNameTaken(database, newcomer, now)
    if (!takeOver(database, 'api_key', named ? row : { ...row, name: null })) letGo('api_key', row, false)
    else kept.push({ ...described('api_key', row), named })
  }

  function letGo(table: EndingTable, row: Row, sealedOtherwise: boolean): void {
    vanished.push({ ...described(table, row), sealedOtherwise })
  }
}

// A row of a signing key is never removed, and what is sealed in it never changes. So a database that came after the
// backup has all of them, and one that has any of them is sealed under the same data key.
function kinshipOf(database: DatabaseSync, environmentId: SQLOutputValue, told: readonly Row[]): Kinship {
  const known = database
    .prepare('select kid, sealed_secret from signing_key where environment_id = ?')
    .all(environmentId)
  const shared = known.filter(({ kid, sealed_secret }) =>
    told.some((row) => row.kid === kid && row.sealed_secret === sealed_secret),
  )
  if (shared.length === 0) return 'stranger'
  const tellsPeriods = told.every((row) => period.safeParse(row).success)
  return shared.length === known.length && tellsPeriods ? 'descendant' : 'relative'
}

const revokedTokens = z.object({
  environment_id: z.string(),
  kind: z.string(),
  value: z.string(),
  before: z.number().nullable(),
  until: z.number(),
})

// Revocations only ever grow, so that the later of two moments is the one that counts.
function carryRevocations(database: DatabaseSync, rows: readonly Row[]): number {
  const statement = database.prepare(`
    insert into revocation (environment_id, kind, value, "before", until, revision)
    select $environment_id, $kind, $value, $before, $until, 0
    where exists (select 1 from environment where id = $environment_id)
    on conflict (environment_id, kind, value) do update
    set "before" = max("before", excluded."before"), until = max(until, excluded.until)
    where excluded."before" > "before" or excluded.until > until`)
  return rows
    .map((row) => revokedTokens.safeParse(row).data)
    .reduce((count, row) => count + Number(row === undefined ? 0 : statement.run(row).changes), 0)
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

/** Puts a row of the replaced database into the backup, in the place of its like if there is one. */
function takeOver(database: DatabaseSync, table: EndingTable, row: Row): boolean {
  if (!has(database, 'environment', { id: row.environment_id ?? null })) return false
  const known = database.prepare('select name from pragma_table_info(?)').all(table)
  const columns = known.map(({ name }) => String(name)).filter((name) => name in row)
  const places = columns.map(() => '?').join(', ')
  const anew = columns.map((column) => `${column} = excluded.${column}`).join(', ')
  database
    .prepare(
      `insert into ${table} (${columns.join(', ')}) values (${places})
      on conflict (${ENDINGS[table].identity.join(', ')}) do update set ${anew}`,
    )
    .run(...columns.map((column) => row[column] ?? null))
  return true
}

function countUp(database: DatabaseSync, replaced: Replaced | undefined): number {
  const own = revisionOf(database) ?? 0
  const told = replaced?.revision
  // One that came after the backup has counted at least as far.
  const other = told === undefined || told < own ? own + UNKNOWN_CHANGES : told
  const revision = Math.max(own, other) + 1
  database.prepare('update revision set value = ?').run(revision)
  for (const table of CARRIED_TABLES) database.prepare(`update ${table} set revision = ?`).run(revision)
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
  const environmentId = typeof row.environment_id === 'string' ? row.environment_id : undefined
  const label = String(row.name ?? row.hint ?? row.environment_id)
  return { table, id: String(row.id ?? row.kid), label, environmentId }
}
