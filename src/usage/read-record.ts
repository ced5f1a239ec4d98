import { z } from 'zod'
import { type Countable, ISSUED } from '../journal/journal.ts'

/** A line of a journal, as far as it is counted. */
export interface UsageRecord {
  /** Its number in the chain. */
  readonly n: number
  /** Unix minutes. */
  readonly minute: number
  readonly counts: readonly Countable[]
}

// The order of a record's members is part of its form (journal/record.ts), so that few lines are read as JSON.
const START =
  /^\{"v":1,"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d):\d\d\.\d{3}Z","prev":"[0-9a-f]{64}","n":(\d{1,15}),"type":"(\w+)"/
const WHO =
  /,"environmentId":"([\w-]{1,64})","keyId":"([\w-]{1,64})","format":"([\w-]{1,64})","(code|subject)":"/y
const TEXT = /([^"\\]*(?:\\.[^"\\]*)*)"/y
const CODE = /^\w{1,64}$/

const name = z.string().regex(/^[\w-]{1,64}$/)
const who = { environmentId: name, keyId: name, format: name }
const refusalsRecord = z.object({
  counts: z.array(z.object({ ...who, code: name, count: z.int().min(1) })),
})

/** Makes what reads lines. One that is no record is `undefined`; one that tells of nothing to count has no counts. */
export function createRecordReader(): (line: string) => UsageRecord | undefined {
  let minuteText = ''
  let minute = 0
  return (line) => {
    const [begin, at, n, type] = START.exec(line) ?? []
    if (begin === undefined || at === undefined) return undefined
    // Most lines are of the same minute as the one before.
    if (at !== minuteText) {
      minuteText = at
      minute = Date.parse(`${at}Z`) / 60_000
    }
    return { n: Number(n), minute, counts: countsOf(type, line, begin.length) }
  }
}

function countsOf(type: string | undefined, line: string, from: number): readonly Countable[] {
  if (type === 'refusals') return refusalsIn(line)
  if (type !== 'issued' && type !== 'refused') return []
  WHO.lastIndex = from
  const [found, environmentId, keyId, format, member] = WHO.exec(line) ?? []
  if (found === undefined || environmentId === undefined || keyId === undefined || format === undefined) {
    return []
  }
  TEXT.lastIndex = from + found.length
  const text = TEXT.exec(line)?.[1]
  if (text === undefined || (member === 'subject') !== (type === 'issued')) return []
  const kind = { environmentId, keyId, format, count: 1 }
  if (type === 'refused') return CODE.test(text) ? [{ ...kind, outcome: text, subject: undefined }] : []
  const subject = text.includes('\\') ? unescaped(text) : text
  // A token that names nobody has its key in the place of a subject.
  return [{ ...kind, outcome: ISSUED, subject: subject === keyId ? undefined : subject }]
}

function unescaped(text: string): string | undefined {
  return z.string().safeParse(parse(`"${text}"`)).data
}

function refusalsIn(line: string): readonly Countable[] {
  const found = refusalsRecord.safeParse(parse(line)).data
  return (found?.counts ?? []).map(({ code, ...kind }) => ({ ...kind, outcome: code, subject: undefined }))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
