import { join } from 'node:path'
import { type Break, diagnose, tornWithin, type Whereabouts } from './break.ts'
import { type ChainFile, isGone, listFiles } from './folder.ts'
import type { Head } from './journal.ts'
import { type FileLine, readLines } from './lines.ts'
import { type Counted, GENESIS, readOpened, readPlace, sha256 } from './record.ts'

/** What was found out about one chain. */
export interface ChainReport {
  readonly instance: string
  readonly files: number
  /** Those that hold together, from the first one. */
  readonly records: number
  /** When the first and the last of them were written, in ISO 8601. */
  readonly from: string | undefined
  readonly until: string | undefined
  /** Where the part that holds together ends. */
  readonly head: Head | undefined
  readonly broken: Break | undefined
  /** What is no fault and worth knowing. */
  readonly notes: readonly string[]
  /** Which of the hashes that were looked for are in it. */
  readonly anchors: readonly string[]
}

export interface VerifyOptions {
  /** The first day of which files must still be there, like 2026-11-22. */
  readonly keptSince: string
  /** Hashes that are known from elsewhere. */
  readonly anchors: readonly string[]
}

/** A chain of which a part was read. */
interface Walk {
  readonly instance: string
  readonly wanted: ReadonlySet<string>
  readonly found: Set<string>
  readonly notes: string[]
  head: Head | undefined
  /** Where the last line stood. */
  last: Whereabouts | undefined
  records: number
  from: string | undefined
  until: string | undefined
}

/** A file of the chain, and how much of it the next one lets count. */
interface Part {
  readonly file: ChainFile
  readonly before: Counted | undefined
  readonly countedBytes: number
  /** The record that follows those that count, in a later file. */
  readonly nextN: number | undefined
  /** Whether no file behind it has a record. */
  readonly isLast: boolean
}

/** Follows a chain from its first line that is still there, up to the first one that does not fit. It changes nothing. */
export async function verifyChain(
  folder: string,
  instance: string,
  options: VerifyOptions,
): Promise<ChainReport> {
  const instanceFolder = join(folder, instance)
  for (;;) {
    const report = await verifyFiles(await listFiles(instanceFolder), instance, options)
    // A file that was removed meanwhile, being old enough or not, is judged by what lies there now.
    if (report.broken?.reason !== 'unreadable' || !(await isGone(instanceFolder, report.broken.file)))
      return report
  }
}

async function verifyFiles(
  files: readonly ChainFile[],
  instance: string,
  { keptSince, anchors }: VerifyOptions,
): Promise<ChainReport> {
  const walk: Walk = {
    instance,
    wanted: new Set(anchors),
    found: new Set(),
    notes: [],
    head: undefined,
    last: undefined,
    records: 0,
    from: undefined,
    until: undefined,
  }
  const broken = await walkAll(walk, files, keptSince)
  const { records, from, until, head, notes, found } = walk
  return { instance, files: files.length, records, from, until, head, broken, notes, anchors: [...found] }
}

async function walkAll(
  walk: Walk,
  files: readonly ChainFile[],
  keptSince: string,
): Promise<Break | undefined> {
  for (const part of await partsOf(files)) {
    const { file, before } = part
    const broken =
      walk.head === undefined
        ? beginsTooLate(file, before, keptSince)
        : followsOther(walk, file, before, files)
    if (broken !== undefined) return broken
    try {
      const found = await walkFile(walk, part)
      if (found !== undefined) return found
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return {
        file: file.name,
        line: undefined,
        reason: 'unreadable',
        detail: `It cannot be read: ${reason}`,
      }
    }
  }
  return undefined
}

// A file that failed, or was torn, is followed by one that says how far it counts.
async function partsOf(files: readonly ChainFile[]): Promise<Part[]> {
  const parts: Part[] = []
  let countedBytes = Number.POSITIVE_INFINITY
  let following: string | undefined
  let nextN: number | undefined
  for (const file of files.toReversed()) {
    const isSkipped = following !== undefined && following < file.name
    const bytes = isSkipped ? 0 : following === file.name ? countedBytes : Number.POSITIVE_INFINITY
    const opened = await readFirst(file)
    parts.unshift({
      file,
      before: opened?.before,
      countedBytes: bytes,
      nextN,
      isLast: following === undefined,
    })
    if (opened === undefined || isSkipped) continue
    following = opened.before?.file
    countedBytes = opened.before?.bytes ?? 0
    nextN = opened.n
  }
  return parts
}

async function readFirst(file: ChainFile) {
  try {
    for await (const { bytes, isWhole } of readLines(file)) {
      return isWhole ? readOpened(bytes.toString()) : undefined
    }
  } catch {
    // The walk meets the same fault, and names it.
  }
  return undefined
}

// What was before may have been kept long enough, or there was nothing.
function beginsTooLate(file: ChainFile, before: Counted | undefined, keptSince: string): Break | undefined {
  if (before === undefined || before.file.slice(9, 19) < keptSince) return undefined
  return {
    file: file.name,
    line: 1,
    reason: 'missing',
    detail: `The file before it, ${before.file}, is not there, though it is not old enough to be removed.`,
  }
}

function followsOther(
  { last }: Walk,
  file: ChainFile,
  before: Counted | undefined,
  files: readonly ChainFile[],
): Break | undefined {
  if (before === undefined || last === undefined || before.file <= last.file) return undefined
  if (files.some(({ name }) => name === before.file)) return undefined
  return {
    file: file.name,
    line: 1,
    reason: 'missing',
    detail: `The file before it, ${before.file}, is not there.`,
  }
}

async function walkFile(walk: Walk, { file, countedBytes, nextN, isLast }: Part): Promise<Break | undefined> {
  let number = 0
  let uncounted = 0
  let bytes = 0
  for await (const [line, next] of pairs(readLines(file))) {
    number += 1
    if (line.until > countedBytes) {
      uncounted += 1
      continue
    }
    bytes = line.until
    if (!line.isWhole) {
      if (!isLast) return tornWithin({ file: file.name, line: number })
      walk.notes.push(
        `${file.name} ends in a torn line (${number}): the process was killed, or is writing it.`,
      )
      continue
    }
    const broken = step(walk, file, number, line, next)
    if (broken !== undefined) return broken
  }
  if (countedBytes === Number.POSITIVE_INFINITY || bytes >= countedBytes) {
    if (uncounted > 0) {
      walk.notes.push(
        `${file.name} ends in ${uncounted} lines that were never acknowledged, and do not count.`,
      )
    }
    return undefined
  }
  const detail = `The next file says that ${countedBytes} bytes are before it; there are ${bytes}.`
  // As many records as there should be, of which the last one is shorter or longer than it was.
  const isWhole = nextN !== undefined && (walk.head?.n ?? 0) + Math.min(uncounted, 1) >= nextN - 1
  const line = isWhole ? number - Math.max(uncounted - 1, 0) : number + 1
  return { file: file.name, line, reason: isWhole ? 'edited' : 'missing', detail }
}

function step(
  walk: Walk,
  file: ChainFile,
  number: number,
  line: FileLine,
  next: FileLine | undefined,
): Break | undefined {
  const place = readPlace(line.bytes.toString('latin1'))
  const here = { file: file.name, line: number }
  if (place === undefined) return { ...here, reason: 'edited', detail: 'It is no record of a journal.' }
  if (number === 1 && place.type !== 'opened') {
    return { ...here, reason: 'missing', detail: 'The record that opens a file should be before it.' }
  }
  const own = sha256(line.bytes)
  const head = walk.head ?? (place.n === 1 ? GENESIS : { sha256: place.prev, n: place.n - 1 })
  if (place.prev !== head.sha256 || place.n !== head.n + 1) {
    return diagnose(walk.last, here, place, own, next && readPlace(next.bytes.toString('latin1')), head)
  }
  walk.head = { sha256: own, n: place.n }
  walk.last = here
  walk.records += 1
  walk.from ??= place.at
  walk.until = place.at
  if (walk.wanted.has(own)) walk.found.add(own)
  return undefined
}

/** Each item with the one behind it. */
export async function* pairs<T>(items: AsyncIterable<T>): AsyncGenerator<[T, T | undefined]> {
  let held: T | undefined
  for await (const item of items) {
    if (held !== undefined) yield [held, item]
    held = item
  }
  if (held !== undefined) yield [held, undefined]
}
