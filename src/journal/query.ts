import { join } from 'node:path'
import { dayOf, listFiles, listInstances } from './folder.ts'
import { NEWLINE, readBlocks } from './lines.ts'

/** What records are looked for: those that fit in every member that is there. */
export interface Question {
  readonly environmentId?: string | undefined
  readonly keyId?: string | undefined
  readonly subject?: string | undefined
  readonly jti?: string | undefined
  /** Unix milliseconds, the first one that counts. */
  readonly since?: number | undefined
  /** Unix milliseconds, the first one that no longer counts. */
  readonly until?: number | undefined
}

/** A record as it stands in its file. */
export interface FoundRecord {
  /** Whose chain it is in. */
  readonly instance: string
  /** When it was written, in ISO 8601. */
  readonly at: string
  /** One line of JSON. */
  readonly line: string
}

/** Records in the order of their time: a chain, or whatever else tells of what happened. */
export type RecordSource = AsyncIterable<FoundRecord>

// Where a line says when it was written; nothing in front of that varies.
const BEFORE_AT = Buffer.from('{"v":1,"at":"')
const AT_LENGTH = 24

const GRANTED = Buffer.from(',"granted":')

const DAY_MS = 86_400_000

/** Looks through all journals in a folder, the oldest record first. */
export async function* query(folder: string, question: Question): AsyncGenerator<FoundRecord> {
  const instances = await listInstances(folder)
  yield* mergeByTime(instances.map((instance) => queryChain(folder, instance, question)))
}

/** Puts records of several sources, each in the order of its time, in one order. */
export async function* mergeByTime(sources: readonly RecordSource[]): AsyncGenerator<FoundRecord> {
  const readers = sources.map((source) => source[Symbol.asyncIterator]())
  try {
    const heads = await Promise.all(readers.map(async (reader) => ({ reader, next: await reader.next() })))
    for (;;) {
      let earliest: { head: (typeof heads)[number]; found: FoundRecord } | undefined
      for (const head of heads) {
        const { done, value } = head.next
        if (!done && (earliest === undefined || value.at < earliest.found.at))
          earliest = { head, found: value }
      }
      if (earliest === undefined) return
      yield earliest.found
      earliest.head.next = await earliest.head.reader.next()
    }
  } finally {
    for (const reader of readers) await reader.return?.()
  }
}

async function* queryChain(
  folder: string,
  instance: string,
  question: Question,
): AsyncGenerator<FoundRecord> {
  const find = createSearch(question)
  // A record is dated before it is written, perhaps in the file of the next day.
  const first = question.since === undefined ? '' : dayOf(question.since)
  const last = question.until === undefined ? '~' : dayOf(question.until + DAY_MS)
  for (const file of await listFiles(join(folder, instance))) {
    if (file.day < first || file.day > last) continue
    for await (const block of readBlocks(file)) {
      for (const { at, line } of find(block)) yield { instance, at, line }
    }
  }
}

/**
 * Makes what finds records in a block of whole lines. It looks for the bytes that a writer would have written, so that
 * most lines are never read as JSON: within a string every quotation mark has a backslash in front.
 */
export function createSearch(
  question: Question,
): (block: Buffer) => Iterable<{ at: string; line: string; from: number }> {
  const { environmentId, keyId, subject, jti, since, until } = question
  // The one that is the rarest comes first: only where it stands the others are looked for.
  const needles = Object.entries({ jti, subject, keyId, environmentId })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => Buffer.from(`"${name}":${JSON.stringify(value)}`))
  const earliest = since === undefined ? '' : new Date(since).toISOString()
  const latest = until === undefined ? '~' : new Date(until).toISOString()
  const [rarest] = needles

  return function* search(block) {
    let from = 0
    while (from < block.length) {
      if (rarest !== undefined) {
        const found = block.indexOf(rarest, from)
        if (found === -1) return
        from = found === 0 ? 0 : block.lastIndexOf(NEWLINE, found) + 1
      }
      const end = block.indexOf(NEWLINE, from)
      const line = block.subarray(from, end === -1 ? block.length : end)
      const at = atOf(line)
      if (
        at !== undefined &&
        at >= earliest &&
        at < latest &&
        needles.every((needle) => holds(line, needle))
      ) {
        yield { at, line: line.toString(), from }
      }
      if (end === -1) return
      from = end + 1
    }
  }
}

function atOf(line: Buffer): string | undefined {
  if (line.compare(BEFORE_AT, 0, BEFORE_AT.length, 0, BEFORE_AT.length) !== 0) return undefined
  return line.toString('latin1', BEFORE_AT.length, BEFORE_AT.length + AT_LENGTH)
}

// What was granted has members of its own, of which a question does not ask.
function holds(line: Buffer, needle: Buffer): boolean {
  const found = line.indexOf(needle)
  if (found === -1) return false
  const granted = line.indexOf(GRANTED)
  return granted === -1 || found < granted
}
