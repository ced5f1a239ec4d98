import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { GENESIS, type Head, sha256 } from '../domain/chain.ts'
import type { NotedChange } from '../domain/change-record.ts'
import type { Ended, Exposed, Gone, Kept, Vanished } from './carry-over.ts'
import { type Change, recordRows } from './change-records.ts'
import type { Replaced } from './replaced.ts'

const recordRow = z.object({
  revision: z.number(),
  n: z.number(),
  at: z.string(),
  line: z.string(),
  sha256: z.string(),
})
type RecordRow = z.output<typeof recordRow>

const aspectRow = z.object({ aspect: z.string(), value: z.string(), revision: z.number() })

/** What became of the replaced database's records. */
export interface CarriedRecords {
  readonly count: number
  /** Where a chain ended that does not go on from the backup's, so that it is left behind. */
  readonly leftBehind: Head | undefined
}

/**
 * Puts the records that came after the backup behind the backup's own, as they are, if they go on from these: what was
 * done then stays told, although a restore undoes it. A fault in them stays as well, and `verify` finds it as before.
 * Of a damaged database only what fits together counts.
 *
 * @param database the backup, in this program's schema, within a transaction
 */
export function carryRecords(database: DatabaseSync, replaced: Replaced | undefined): CarriedRecords {
  const told = (replaced?.rows.change_record ?? [])
    .flatMap((row) => recordRow.safeParse(row).data ?? [])
    .toSorted((one, other) => one.revision - other.revision)
  const last = lastRow(database)
  const newest = told.at(-1)
  if (newest === undefined || (last !== undefined && isIn(database, newest))) {
    return { count: 0, leftBehind: undefined }
  }
  if (last !== undefined && !told.some((row) => isSame(row, last))) {
    return { count: 0, leftBehind: { n: newest.n, sha256: newest.sha256 } }
  }
  const later = told.filter(({ revision }) => revision > (last?.revision ?? 0))
  const taken = replaced?.whole === false ? fitting(later, last ?? GENESIS) : later
  insert(database, taken, replaced)
  return { count: taken.length, leftBehind: undefined }
}

/** Records what a restore did, in the transaction that does it. */
export function writeRecordInto(database: DatabaseSync, change: Change): void {
  const { record, aspects } = recordRows(lastRow(database) ?? GENESIS, change)
  insertRecord(database, record)
  for (const aspect of aspects) insertAspect(database, aspect)
}

/** What a restore did, for the record. */
export function restoreNotes({
  set,
  ended,
  exposed,
  kept,
  vanished,
}: {
  readonly set: Readonly<Record<string, unknown>>
  readonly ended: readonly Ended[]
  readonly exposed: readonly Exposed[]
  readonly kept: readonly Kept[]
  readonly vanished: readonly Gone[]
}): NotedChange[] {
  return [
    { what: 'database restored', set },
    ...ended.map((one) => noted(one, 'ended again', { [ENDS[one.end]]: new Date(one.at).toISOString() })),
    ...exposed.map((one) => noted(one, 'exposed again', { exposedAt: new Date(one.at).toISOString() })),
    ...kept.map((one) => noted(one, 'kept', one.named ? undefined : { name: null })),
    ...vanished.map((one) => noted(one, 'gone', undefined)),
  ]
}

const NAMES = { environment: 'environment', api_key: 'key', signing_key: 'signing key' } as const

const ENDS = {
  archived_at: 'archivedAt',
  revoked_at: 'revokedAt',
  expires_at: 'expiresAt',
  signs_until: 'signsUntil',
  verifies_until: 'verifiesUntil',
} as const

function noted({ table, id, environmentId }: Vanished, verb: string, set: NotedChange['set']): NotedChange {
  const ids = { environment: { environmentId: id }, api_key: { keyId: id }, signing_key: { kid: id } }
  return { what: `${NAMES[table]} ${verb}`, environmentId, ...ids[table], set }
}

function lastRow(database: DatabaseSync): RecordRow | undefined {
  const row = database.prepare('select * from change_record order by revision desc limit 1').get()
  return row && recordRow.parse(row)
}

// The columns may have been written by anybody: a line is known by its own hash.
function isSame(one: RecordRow, other: RecordRow): boolean {
  return one.revision === other.revision && sha256(one.line) === other.sha256
}

function isIn(database: DatabaseSync, { revision, line }: RecordRow): boolean {
  const row = database.prepare('select line from change_record where revision = ?').get(revision)
  return row?.line === line
}

function fitting(rows: readonly RecordRow[], before: Head): RecordRow[] {
  const fit: RecordRow[] = []
  for (const row of rows) {
    const head = fit.at(-1) ?? before
    const follows = row.n === head.n + 1 && row.line.includes(`"prev":"${head.sha256}"`)
    if (!follows || sha256(row.line) !== row.sha256) break
    fit.push(row)
  }
  return fit
}

function insert(database: DatabaseSync, records: readonly RecordRow[], replaced: Replaced | undefined): void {
  const taken = new Set(records.map(({ revision }) => revision))
  for (const record of records) insertRecord(database, record)
  for (const row of replaced?.rows.change_aspect ?? []) {
    const aspect = aspectRow.safeParse(row).data
    if (aspect !== undefined && taken.has(aspect.revision)) insertAspect(database, aspect)
  }
}

function insertRecord(database: DatabaseSync, record: RecordRow): void {
  database
    .prepare(
      'insert into change_record (revision, n, at, line, sha256) values ($revision, $n, $at, $line, $sha256)',
    )
    .run({ ...record })
}

function insertAspect(database: DatabaseSync, aspect: z.output<typeof aspectRow>): void {
  database
    .prepare('insert into change_aspect (aspect, value, revision) values ($aspect, $value, $revision)')
    .run({ ...aspect })
}
