import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { Row } from './replaced.ts'

/** What a key of the replaced database is to the backup that does not have it. */
export type NewcomerStanding = 'revoked' | 'successor' | 'stranger'

/** A key that came after the backup. */
export interface Newcomer {
  readonly row: Row
  readonly standing: NewcomerStanding
  /** The keys that it followed and those that followed it, itself included. */
  readonly line: ReadonlySet<SQLOutputValue>
}

/** Parts the keys that the backup knows from those that came later, each line of successors in its order. */
export function sortKeys(rows: readonly Row[], isKnown: (row: Row) => boolean) {
  const known = rows.filter(isKnown)
  const knownRows = new Set(known)
  const later = new Set(rows.filter((row) => !knownRows.has(row)))
  const byId = new Map(rows.map((row) => [row.id, row]))
  const newcomers = new Map<Row, Newcomer>()
  const lines = new Map<SQLOutputValue | undefined, Set<SQLOutputValue>>()
  for (const first of known) {
    const line = lines.get(first.id) ?? new Set<SQLOutputValue>()
    for (let row: Row | undefined = first; row?.id !== undefined && !line.has(row.id); ) {
      line.add(row.id)
      lines.set(row.id, line)
      if (later.has(row)) newcomers.set(row, { row, line, standing: 'successor' })
      row = byId.get(row.successor_id ?? null)
    }
  }
  for (const row of later) {
    if (newcomers.has(row)) continue
    const standing = typeof row.revoked_at === 'number' ? 'revoked' : 'stranger'
    newcomers.set(row, { row, standing, line: new Set() })
  }
  return { known, newcomers: [...newcomers.values()] }
}

/** Makes the earlier of two moments the one that counts. A key that was rotated stays so. */
export function flagAgain(database: DatabaseSync, row: Row): number | undefined {
  database
    .prepare('update api_key set successor_id = coalesce(successor_id, ?) where id = ?')
    .run(row.successor_id ?? null, row.id ?? null)
  const at = row.exposed_at
  if (typeof at !== 'number') return undefined
  const { changes } = database
    .prepare('update api_key set exposed_at = ? where id = ? and (exposed_at is null or exposed_at > ?)')
    .run(at, row.id ?? null, at)
  return changes === 0 ? undefined : at
}

/** Whether a living key outside of the newcomer's line has its name. A line shares one during a grace. */
export function isNameTaken(database: DatabaseSync, { row, line }: Newcomer, now: number): boolean {
  if (typeof row.name !== 'string') return false
  if ([row.revoked_at, row.expires_at].some((end) => typeof end === 'number' && end <= now)) return false
  return database
    .prepare(
      `select id from api_key where environment_id = ? and name = ?
      and (revoked_at is null or revoked_at > ?) and (expires_at is null or expires_at > ?)`,
    )
    .all(row.environment_id ?? null, row.name, now, now)
    .some(({ id }) => !line.has(id ?? null))
}
