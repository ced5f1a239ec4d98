import { join } from 'node:path'
import { errorCode } from '../domain/error-code.ts'
import type { ChangeQuestion } from '../store/store.ts'
import { type ChainFile, dayOf, listFiles, listInstances } from './folder.ts'
import { NEWLINE, readBlocks } from './lines.ts'

/** What records are looked for; the same can be asked of the records of changes. */
export type Question = ChangeQuestion

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
  const files = (await listFiles(join(folder, instance))).filter(({ day }) => day >= first && day <= last)
  // The next file is unpacked, on another core, while this one is searched.
  let ahead = files[0] && searchFile(files[0])
  for (const next of [...files.slice(1), undefined]) {
    const found = ahead
    ahead = next && searchFile(next)
    // Heard of when it is waited for, and nowhere before.
    ahead?.catch(() => undefined)
    for (const { at, line } of (await found) ?? []) yield { instance, at, line }
  }

  async function searchFile(file: ChainFile): Promise<Match[]> {
    const found: Match[] = []
    try {
      for await (const block of readBlocks(file)) for (const match of find(block)) found.push(match)
    } catch (error) {
      // It may have been removed since it was listed, being old enough.
      if (errorCode(error) !== 'ENOENT') throw error
    }
    return found
  }
}

/** A record in a block of lines. */
export interface Match {
  readonly at: string
  readonly line: string
  /** Where it begins in the block. */
  readonly from: number
}

/**
 * Makes what finds records in a block of whole lines. It looks for the bytes that a writer would have written, so that
 * most lines are never read as JSON: within a string every quotation mark has a backslash in front.
 */
export function createSearch(question: Question): (block: Buffer) => Iterable<Match> {
  const { environmentId, keyId, subject, jti, since, until } = question
  // The one that is the rarest comes first: only where it stands the others are looked for.
  const needles = Object.entries({ jti, subject, keyId, environmentId })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => Buffer.from(`"${name}":${JSON.stringify(value)}`))
  const earliest = since === undefined ? undefined : Buffer.from(new Date(since).toISOString())
  const latest = until === undefined ? undefined : Buffer.from(new Date(until).toISOString())
  const [rarest] = needles

  return function* search(block) {
    let from = 0
    while (from < block.length) {
      if (rarest !== undefined) {
        const found = block.indexOf(rarest, from)
        if (found === -1) return
        from = found === 0 ? 0 : block.lastIndexOf(NEWLINE, found) + 1
      }
      const newline = block.indexOf(NEWLINE, from)
      const end = newline === -1 ? block.length : newline
      if (isInTime(block, from) && holdsAll(block.subarray(from, end))) {
        yield { at: atOf(block, from), line: block.toString('utf8', from, end), from }
      }
      from = end + 1
    }
  }

  // What was granted has members of its own, of which a question does not ask. It comes last.
  function holdsAll(line: Buffer): boolean {
    if (needles.length === 0) return true
    const granted = line.indexOf(GRANTED)
    const asked = granted === -1 ? line : line.subarray(0, granted)
    return needles.every((needle) => asked.includes(needle))
  }

  function isInTime(block: Buffer, from: number): boolean {
    if (!isAt(block, from, BEFORE_AT)) return false
    const at = from + BEFORE_AT.length
    if (earliest !== undefined && compareAt(block, at, earliest) < 0) return false
    return latest === undefined || compareAt(block, at, latest) < 0
  }
}

function isAt(block: Buffer, from: number, text: Buffer): boolean {
  if (from + text.length > block.length) return false
  for (let index = 0; index < text.length; index += 1) {
    if (block[from + index] !== text[index]) return false
  }
  return true
}

// Most moments differ in their last digits alone, but the first ones decide.
function compareAt(block: Buffer, at: number, moment: Buffer): number {
  for (let index = 0; index < AT_LENGTH; index += 1) {
    const difference = (block[at + index] ?? 0) - (moment[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function atOf(block: Buffer, from: number): string {
  return block.toString('latin1', from + BEFORE_AT.length, from + BEFORE_AT.length + AT_LENGTH)
}
