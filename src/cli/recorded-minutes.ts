import { z } from 'zod'
import type { RecordedMinute } from '../alerts/replay.ts'
import { UsageError } from './input.ts'

const MINUTE_MS = 60_000

const id = z.string().min(1).max(100)
const moment = z.iso.datetime({ offset: true }).transform((text) => Math.floor(Date.parse(text) / MINUTE_MS))

/** A minute of a key: unix minutes, or ISO 8601. */
const counted = z.object({
  environmentId: id,
  keyId: id,
  minute: z.union([z.int().min(0).max(200_000_000), moment]),
  issued: z.int().min(0),
})

/** A record of the journal, of which only issued tokens count. */
const journalRecord = z.object({ type: z.string(), at: moment })
const issuedRecord = z.object({ environmentId: id, keyId: id })

/**
 * Reads lines of recorded traffic: minutes, or records of the journal as they stand in it. Empty lines are left out.
 *
 * @throws UsageError that names the first line that is neither
 */
export async function* readRecordedMinutes(lines: AsyncIterable<string>): AsyncGenerator<RecordedMinute> {
  let number = 0
  for await (const line of lines) {
    number += 1
    if (line.trim() === '') continue
    const value = parse(line)
    const minute = counted.safeParse(value)
    if (minute.success) {
      yield minute.data
      continue
    }
    const record = journalRecord.safeParse(value)
    if (!record.success) throw noLine(number)
    if (record.data.type !== 'issued') continue
    const issued = issuedRecord.safeParse(value)
    if (!issued.success) throw noLine(number)
    yield { ...issued.data, minute: record.data.at, issued: 1 }
  }
}

function noLine(number: number): UsageError {
  return new UsageError(
    `Line ${number} is no {"environmentId","keyId","minute","issued"} and no record of the journal.`,
  )
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
