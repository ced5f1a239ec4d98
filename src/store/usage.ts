import { setImmediate as freeTheLoop } from 'node:timers/promises'
import { type Kysely, type RawBuilder, sql, type Transaction } from 'kysely'
import { z } from 'zod'
import { mergeSketches, readSketch, writeSketch } from '../domain/distinct.ts'
import { type Schema, sketchRow, usageRow } from './rows.ts'
import type {
  MinuteCount,
  MinuteRange,
  SubjectSketch,
  UsageBatch,
  UsageCount,
  UsageGrain,
} from './usage-contract.ts'
import { takeWriteLock } from './write-lock.ts'

/** Rows that one statement writes: few enough that the event loop is held for a few milliseconds. */
const ROWS_AT_ONCE = 200
/** Rows that one statement reads. */
const ROWS_PER_PART = 500
/** Sketches are larger, and each is taken apart. */
const SKETCHES_AT_ONCE = 20

const TABLES = { minute: 'usageMinute', hour: 'usageHour' } as const
const HOUR_MINUTES = 60
const DAY_MINUTES = 1_440

const IDENTITY = ['environmentId', 'minute', 'keyId', 'format', 'outcome'] as const
const IN_TIME = ['minute', 'environmentId', 'keyId', 'format', 'outcome'] as const

export async function countedUpTo(db: Kysely<Schema>, chain: string): Promise<number> {
  const row = await db.selectFrom('usageMark').select('counted').where('chain', '=', chain).executeTakeFirst()
  return row?.counted ?? 0
}

/** See `UsageStore.add`. */
export async function addUsage(db: Kysely<Schema>, batch: UsageBatch): Promise<number> {
  return await db.transaction().execute(async (transaction) => {
    await takeWriteLock(transaction)
    const { chain, after, upTo, counts, sketches, at } = batch
    const counted = await countedUpTo(transaction, chain)
    if (counted !== after) return counted
    await addCounts(transaction, 'minute', counts)
    await addCounts(transaction, 'hour', byHour(counts))
    for (const some of slices(sketches, SKETCHES_AT_ONCE)) await addSketches(transaction, some)
    await transaction
      .insertInto('usageMark')
      .values({ chain, counted: upTo, written: at })
      .onConflict((there) => there.column('chain').doUpdateSet({ counted: upTo, written: at }))
      .execute()
    return upTo
  })
}

function byHour(counts: readonly UsageCount[]): UsageCount[] {
  const sums = new Map<string, UsageCount>()
  for (const one of counts) {
    const minute = one.minute - (one.minute % HOUR_MINUTES)
    const name = `${one.environmentId} ${one.keyId} ${one.format} ${minute} ${one.outcome}`
    sums.set(name, { ...one, minute, count: (sums.get(name)?.count ?? 0) + one.count })
  }
  return [...sums.values()]
}

async function addCounts(db: Transaction<Schema>, grain: UsageGrain, counts: readonly UsageCount[]) {
  const table = sql.table(TABLES[grain])
  for (const some of slices(counts, ROWS_AT_ONCE)) {
    const rows = some.map((one) => sql`(${sql.join([...IDENTITY.map((column) => one[column]), one.count])})`)
    await sql`
      insert into ${table} (${columnsOf(IDENTITY)}, "count") values ${sql.join(rows)}
      on conflict (${columnsOf(IDENTITY)}) do update set "count" = ${table}."count" + excluded."count"`.execute(
      db,
    )
    await freeTheLoop()
  }
}

// What is there already and what comes are united, so that it does no harm when a sketch comes twice.
async function addSketches(db: Transaction<Schema>, sketches: readonly SubjectSketch[]) {
  const there = await db
    .selectFrom('usageSubjects')
    .selectAll()
    .where(({ eb, refTuple, tuple }) =>
      eb(
        refTuple('environmentId', 'day'),
        'in',
        sketches.map(({ environmentId, day }) => tuple(environmentId, day)),
      ),
    )
    .execute()
  const known = new Map(there.map((row) => [`${row.environmentId} ${row.day}`, row.sketch]))
  const changed = sketches.flatMap(({ environmentId, day, sketch }) => {
    const text = known.get(`${environmentId} ${day}`)
    if (text === undefined) return [{ environmentId, day, sketch }]
    const united = readSketch(text)
    return mergeSketches(united, readSketch(sketch))
      ? [{ environmentId, day, sketch: writeSketch(united) }]
      : []
  })
  if (changed.length > 0) {
    await db
      .insertInto('usageSubjects')
      .values(changed)
      .onConflict((row) =>
        row.columns(['environmentId', 'day']).doUpdateSet(({ ref }) => ({ sketch: ref('excluded.sketch') })),
      )
      .execute()
  }
  await freeTheLoop()
}

/** See `UsageStore.minutes`. */
export async function issuedByMinute(
  db: Kysely<Schema>,
  range: MinuteRange & { readonly environmentId?: string | undefined; readonly keyId?: string | undefined },
): Promise<readonly MinuteCount[]> {
  const found: MinuteCount[] = []
  for await (const rows of parts(db, 'minute', range)) {
    for (const { environmentId, keyId, minute, outcome, count } of rows) {
      if (outcome !== 'issued' || (range.keyId !== undefined && keyId !== range.keyId)) continue
      const last = found.at(-1)
      const isSame = last?.minute === minute && last.keyId === keyId && last.environmentId === environmentId
      if (isSame) found.pop()
      found.push({ environmentId, keyId, minute, issued: count + (isSame ? last.issued : 0) })
    }
  }
  return found
}

/** See `UsageStore.read`. */
export async function readUsage(
  db: Kysely<Schema>,
  { grain, ...range }: MinuteRange & { readonly environmentId: string; readonly grain: UsageGrain },
  take: (counts: readonly UsageCount[]) => void,
): Promise<void> {
  for await (const rows of parts(db, grain, range)) take(rows)
}

export async function sketchesOf(
  db: Kysely<Schema>,
  { environmentId, from, to }: MinuteRange & { readonly environmentId: string },
): Promise<readonly SubjectSketch[]> {
  const rows = await db
    .selectFrom('usageSubjects')
    .selectAll()
    .where('environmentId', '=', environmentId)
    .where('day', '>=', from)
    .where('day', '<', to)
    .orderBy('day')
    .execute()
  return z.array(sketchRow).parse(rows)
}

/** See `UsageStore.forget`. */
export async function forgetUsage(
  db: Kysely<Schema>,
  before: Readonly<Record<UsageGrain, number>>,
): Promise<boolean> {
  const some = [
    olderRows('usageMinute', IDENTITY, 'minute', before.minute),
    olderRows('usageHour', IDENTITY, 'minute', before.hour),
    olderRows('usageSubjects', ['environmentId', 'day'], 'day', Math.floor(before.hour / DAY_MINUTES)),
  ]
  for (const { look, remove } of some) {
    // Mostly there is nothing, and nobody has to wait for a look.
    if ((await look.execute(db)).rows.length === 0) continue
    await db.transaction().execute(async (transaction) => {
      await takeWriteLock(transaction)
      await remove.execute(transaction)
    })
    return true
  }
  return false
}

function olderRows(table: keyof Schema, identity: readonly string[], column: string, before: number) {
  const old = (columns: RawBuilder<unknown>, limit: number) => sql`
    select ${columns} from ${sql.table(table)} where ${sql.ref(column)} < ${before} limit ${sql.lit(limit)}`
  const columns = columnsOf(identity)
  return {
    look: old(sql.ref(column), 1),
    remove: sql`delete from ${sql.table(table)} where (${columns}) in (${old(columns, ROWS_AT_ONCE)})`,
  }
}

export async function forgetChains(
  db: Kysely<Schema>,
  { prefix, writtenBefore }: { readonly prefix: string; readonly writtenBefore: number },
): Promise<void> {
  const marks = await db.selectFrom('usageMark').select(['chain', 'written']).execute()
  const old = marks.filter(({ chain, written }) => chain.startsWith(prefix) && written < writtenBefore)
  for (const some of slices(old, ROWS_AT_ONCE)) {
    const chains = some.map(({ chain }) => chain)
    await db.transaction().execute(async (transaction) => {
      await takeWriteLock(transaction)
      await transaction.deleteFrom('usageMark').where('chain', 'in', chains).execute()
    })
  }
}

// Goes on behind the last row that it read, so that no part is large and the order is that of an index.
async function* parts(
  db: Kysely<Schema>,
  grain: UsageGrain,
  { environmentId, from, to }: MinuteRange & { readonly environmentId?: string | undefined },
): AsyncGenerator<readonly UsageCount[]> {
  const order = environmentId === undefined ? IN_TIME : IDENTITY
  const own = environmentId === undefined ? sql`` : sql`environment_id = ${environmentId} and`
  // No name is empty, so that this stands before the first row.
  const begin: Record<string, unknown> = { environmentId: environmentId ?? '', minute: from }
  let after = order.map((column) => begin[column] ?? '')
  for (;;) {
    const { rows } = await sql`
      select * from ${sql.table(TABLES[grain])} where ${own} minute < ${to}
      and (${columnsOf(order)}) > (${sql.join(after)})
      order by ${columnsOf(order)} limit ${sql.lit(ROWS_PER_PART)}`.execute(db)
    const found = z.array(usageRow).parse(rows)
    if (found.length > 0) yield found
    const last = found.at(-1)
    if (last === undefined || found.length < ROWS_PER_PART) return
    after = order.map((column) => last[column])
    await freeTheLoop()
  }
}

function columnsOf(names: readonly string[]) {
  return sql.join(names.map((name) => sql.ref(name)))
}

function* slices<Row>(rows: readonly Row[], size: number): Generator<readonly Row[]> {
  for (let from = 0; from < rows.length; from += size) yield rows.slice(from, from + size)
}
