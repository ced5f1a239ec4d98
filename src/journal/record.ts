import { z } from 'zod'
import { chainLine, type Head } from '../domain/chain.ts'
import {
  type AlertRecord,
  type Countable,
  type CountedRecord,
  countOfIssuance,
  countOfRefusal,
  type Issuance,
  type Refusal,
} from './journal.ts'

export { GENESIS, sha256 } from '../domain/chain.ts'

/** More than any line has, in bytes: what is longer was not written by a journal. */
export const LONGEST_LINE_BYTES = 262_144

/** A record that is ready but for its place in the chain. */
export interface Draft extends CountedRecord {
  /** Its members as JSON, without the bracket that opens them. */
  readonly members: string
}

/** A line of a journal, and where the chain ends with it. */
export interface Line {
  /** With its end. */
  readonly text: string
  readonly head: Head
}

const NOTHING: readonly Countable[] = []

/** Why a file was begun. */
export type Opening = 'start' | 'size' | 'day' | 'recovery'

/** How far a file counts that came before: what stands behind that was never acknowledged. */
export interface Counted {
  readonly file: string
  readonly bytes: number
}

/** Puts a record behind the one before it. */
export function chain(before: Head, { at, members }: Pick<Draft, 'at' | 'members'>): Line {
  const { line, head } = chainLine(before, momentText(at), members)
  return { text: `${line}\n`, head }
}

let latest = { at: Number.NaN, text: '' }

// Most records of a batch are of one millisecond, and to write a moment takes about as long as to hash a line.
function momentText(at: number): string {
  if (latest.at !== at) latest = { at, text: new Date(at).toISOString() }
  return latest.text
}

export function issued(at: number, issuance: Issuance): Draft {
  const { environmentId, keyId, format, subject, jti, expiresAt, ttlSeconds } = issuance
  const { address, endUserAddress, userAgent, requestId, policy } = issuance
  // Member by member: copied from object to object this takes 2.0 us, so 0.7, and every token pays it.
  const members = {
    type: 'issued',
    environmentId,
    keyId,
    format,
    subject,
    jti,
    expiresAt,
    ttlSeconds,
    address,
    endUserAddress,
    userAgent,
    requestId,
    // Last: it alone has members of its own, and a search looks no further.
    granted: policy,
  }
  return draft(at, members, [countOfIssuance(issuance)])
}

export function refused(at: number, refusal: Refusal): Draft {
  return draft(at, { type: 'refused', ...refusal }, [countOfRefusal(refusal)])
}

/** Refusals that have no record of their own. */
export interface RefusalCount {
  readonly environmentId: string
  readonly keyId: string
  readonly format: string
  readonly code: string
  readonly count: number
}

/** @param count all of them, those that `counts` has no room for included */
export function refusals(at: number, count: number, counts: readonly RefusalCount[]): Draft {
  const counted = counts.map(({ code, ...kind }) => ({ ...kind, outcome: code, subject: undefined }))
  return draft(at, { type: 'refusals', count, counts }, counted)
}

export function alerted(at: number, alert: AlertRecord): Draft {
  return draft(at, { type: 'alert', ...alert })
}

/** The first record of every file. */
export function opened(
  at: number,
  members: {
    readonly instance: string
    readonly because: Opening
    /** `undefined` at the beginning of a chain. */
    readonly before: Counted | undefined
    /** What went wrong with the file before, in the words of the system. */
    readonly fault: string | undefined
  },
): Draft {
  return draft(at, { type: 'opened', ...members })
}

/** What a process that was killed left behind the last whole line. */
export function torn(at: number, { file, bytes }: Counted): Draft {
  return draft(at, { type: 'torn', file, bytes })
}

/** The last record of a process that ended in peace. */
export function closed(at: number): Draft {
  return draft(at, { type: 'closed' })
}

function draft(
  at: number,
  members: { readonly type: string; readonly [name: string]: unknown },
  counts: readonly Countable[] = NOTHING,
): Draft {
  return { at, members: JSON.stringify(members).slice(1), counts }
}

const counted = z.object({ file: z.string(), bytes: z.int().min(0) })

/** What is read of any record; whatever else stands in it stays. */
const common = {
  v: z.literal(1),
  at: z.iso.datetime(),
  prev: z.string().regex(/^[0-9a-f]{64}$/),
  n: z.int().min(1),
}

const recordSchema = z.looseObject({ ...common, type: z.string() })
const openedSchema = z.looseObject({
  ...common,
  type: z.literal('opened'),
  instance: z.string(),
  because: z.string(),
  before: counted.optional(),
})

/** A record that was read back. */
export type JournalRecord = z.output<typeof recordSchema>
/** The first record of a file that was read back. */
export type OpenedRecord = z.output<typeof openedSchema>

/** Reads a line back; `undefined` when it is none of a journal. */
export function readRecord(line: string): JournalRecord | undefined {
  return recordSchema.safeParse(parse(line)).data
}

/** Reads the first line of a file back. */
export function readOpened(line: string): OpenedRecord | undefined {
  return openedSchema.safeParse(parse(line)).data
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Where a line says that it stands. */
export interface Place {
  readonly at: string
  readonly prev: string
  readonly n: number
  readonly type: string
}

const PLACE =
  /^\{"v":1,"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","prev":"([0-9a-f]{64})","n":(\d{1,15}),"type":"(\w+)"[,}]/

/** Reads no more of a line than its place; `undefined` when it does not begin as every record does. */
export function readPlace(line: string): Place | undefined {
  const [, at, prev, n, type] = PLACE.exec(line) ?? []
  if (at === undefined || prev === undefined || type === undefined) return undefined
  return { at, prev, n: Number(n), type }
}
