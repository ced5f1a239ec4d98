import { z } from 'zod'
import { aspectsOf, type ChangeHead } from '../domain/change-record.ts'
import type { ChangeFound, ChangeRecords } from '../store/store.ts'
import { type Break, diagnose } from './break.ts'
import { DATABASE } from './changes.ts'
import { GENESIS, readPlace, readRecord, sha256 } from './record.ts'
import { pairs } from './verify.ts'

/** Where the records of changes do not fit. */
export interface BrokenChange {
  readonly revision: number
  readonly reason: Break['reason']
  /** A sentence. */
  readonly detail: string
}

/** What was found out about the records of changes. */
export interface ChangesReport {
  /** Those that hold together, from the first one. */
  readonly records: number
  /** When the first and the last of them were written, in ISO 8601. */
  readonly from: string | undefined
  readonly until: string | undefined
  /** Where the part that holds together ends. */
  readonly head: ChangeHead | undefined
  readonly broken: BrokenChange | undefined
  /** Which of the hashes that were looked for are in it. */
  readonly anchors: readonly string[]
}

const changedSchema = z.looseObject({
  at: z.string(),
  n: z.int(),
  type: z.literal('changed'),
  revision: z.int(),
  keyId: z.string().optional(),
  changes: z.array(
    z.looseObject({
      environmentId: z.string().optional(),
      keyId: z.string().optional(),
      kid: z.string().optional(),
      subject: z.string().optional(),
      jti: z.string().optional(),
    }),
  ),
})

/**
 * Follows the chain of changes from its first record up to the first one that does not fit, and looks for rows that none
 * of them tells of. It changes nothing.
 *
 * @param anchors hashes that are known from elsewhere
 */
export async function verifyChanges(
  source: Pick<ChangeRecords, 'after' | 'unrecorded'>,
  anchors: readonly string[],
): Promise<ChangesReport> {
  const wanted = new Set(anchors)
  const found: string[] = []
  let [records, from, until] = [0, '', '']
  let head: ChangeHead | undefined
  let broken: BrokenChange | undefined
  for await (const [row, next] of pairs(source.after(0))) {
    broken = faultOf(head, row, next)
    if (broken !== undefined) break
    const { revision, n, at } = row
    head = { revision, n, sha256: row.sha256 }
    records += 1
    from ||= at
    until = at
    if (wanted.has(row.sha256)) found.push(row.sha256)
  }
  broken ??= await unrecorded(source)
  return { records, from: from || undefined, until: until || undefined, head, broken, anchors: found }
}

function faultOf(
  head: ChangeHead | undefined,
  row: ChangeFound,
  next: ChangeFound | undefined,
): BrokenChange | undefined {
  const { revision } = row
  const edited = (detail: string) => ({ revision, reason: 'edited' as const, detail })
  const place = readPlace(row.line)
  const own = sha256(row.line)
  if (place === undefined) return edited('It is no record of a change.')
  if (own !== row.sha256) return edited('Its hash is not the one that is kept beside it.')
  const before = head ?? GENESIS
  if (place.prev !== before.sha256 || place.n !== before.n + 1) {
    const last = head && { file: DATABASE, line: head.revision }
    const here = { file: DATABASE, line: revision }
    const { line = revision, ...why } = diagnose(last, here, place, own, next && readPlace(next.line), before)
    return { revision: line, reason: why.reason, detail: why.detail }
  }
  return saysTheSame(row) ? undefined : edited('It is not kept where it says, or not found by what it says.')
}

// What a record is kept under and found by is not in its hash; it has to be what the line says.
function saysTheSame({ line, revision, n, at, aspects }: ChangeFound): boolean {
  const told = changedSchema.safeParse(readRecord(line)).data
  if (told === undefined || told.revision !== revision || told.n !== n || told.at !== at) return false
  const expected = aspectsOf(told, told.changes).map(([aspect, value]) => `${aspect} ${value}`)
  const kept = aspects.map(([aspect, value]) => `${aspect} ${value}`)
  return expected.sort().join('\n') === kept.sort().join('\n')
}

async function unrecorded(source: Pick<ChangeRecords, 'unrecorded'>): Promise<BrokenChange | undefined> {
  const [first] = await source.unrecorded()
  if (first === undefined) return undefined
  const { what, revision } = first
  return { revision, reason: 'missing', detail: `It wrote ${what}, and there is no record of it.` }
}
