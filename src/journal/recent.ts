import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { errorCode } from '../domain/error-code.ts'
import { JetonError } from '../domain/errors.ts'
import { type ChainFile, INSTANCE, listFiles, listInstances } from './folder.ts'
import { NEWLINE, readBlocks } from './lines.ts'
import { createSearch } from './query.ts'
import { LONGEST_LINE_BYTES } from './record.ts'

/** Read backwards at once, in bytes: more than the longest line. */
const CHUNK_BYTES = LONGEST_LINE_BYTES * 2

/** Looked through for one page, in bytes; a packed file is always looked through whole. */
const BUDGET_BYTES = 67_108_864

const issuanceSchema = z.object({
  at: z.iso.datetime(),
  keyId: z.string(),
  format: z.string(),
  subject: z.string(),
  jti: z.string(),
  granted: z.record(z.string(), z.unknown()),
  ttlSeconds: z.int(),
  expiresAt: z.int(),
  address: z.string(),
  endUserAddress: z.string().optional(),
  userAgent: z.string().optional(),
  requestId: z.string(),
})

/** A token that was issued, as its record tells. */
export type RecordedIssuance = z.output<typeof issuanceSchema> & { readonly instance: string }

/** The next issuances of an environment, going back in time. */
export interface IssuancePage {
  readonly issuances: readonly RecordedIssuance[]
  /** Whose journals were looked through. */
  readonly instances: readonly string[]
  /** Where to go on; `undefined` at the end. A page that is not full may have one: looking further takes another call. */
  readonly nextCursor: string | undefined
}

/** Reads back what was issued lately. */
export interface RecentIssuances {
  /** @throws JetonError `body_invalid` for a cursor that is none */
  page(environmentId: string, limit: number, cursor: string | undefined): Promise<IssuancePage>
}

/** How far back each chain was read: what is before this in the file of this place comes next. */
const positionsSchema = z.record(
  z.string().regex(INSTANCE),
  z.tuple([z.int().min(0), z.int().min(0).nullable()]),
)
type Positions = z.output<typeof positionsSchema>

/** Reads the journals in a folder, one page after another, so that no number of questions keeps the disk busy. */
export function createRecentIssuances({ folder }: { folder: string }): RecentIssuances {
  let last: Promise<unknown> = Promise.resolve()
  return {
    page(environmentId, limit, cursor) {
      const positions = cursor === undefined ? undefined : readCursor(cursor)
      const page = last.then(() => readPage(folder, environmentId, limit, positions))
      last = page.catch(() => undefined)
      return page
    },
  }
}

async function readPage(
  folder: string,
  environmentId: string,
  limit: number,
  positions: Positions | undefined,
): Promise<IssuancePage> {
  const budget = { bytes: BUDGET_BYTES }
  const search = createSearch({ environmentId })
  const there = await listInstances(folder)
  // One that began after the first page has nothing that is older than it.
  const instances = positions === undefined ? there : there.filter((instance) => instance in positions)
  const chains = await Promise.all(
    instances.map(async (instance) => {
      const [seq, bytes] = positions?.[instance] ?? [Number.POSITIVE_INFINITY, null]
      const files = (await listFiles(join(folder, instance))).filter((file) => file.seq <= seq)
      return createChainReader({ instance, files, seq, bytes: bytes ?? undefined, limit, budget, search })
    }),
  )
  const issuances: RecordedIssuance[] = []
  while (issuances.length < limit) {
    const heads = []
    for (const chain of chains) heads.push({ chain, head: await chain.peek() })
    // What is not known yet may be newer than all that is.
    if (heads.some(({ head }) => head === 'later')) break
    const newest = heads.reduce<(typeof heads)[number] | undefined>((best, next) => {
      if (typeof next.head !== 'object') return best
      return best === undefined || typeof best.head !== 'object' || next.head.at > best.head.at ? next : best
    }, undefined)
    if (newest === undefined || typeof newest.head !== 'object') break
    newest.chain.take()
    issuances.push(newest.head)
  }
  const isOver = chains.every((chain) => chain.isOver())
  return { issuances, instances: there, nextCursor: isOver ? undefined : writeCursor(chains) }
}

interface ChainReaderDeps {
  readonly instance: string
  readonly files: ChainFile[]
  readonly seq: number
  readonly bytes: number | undefined
  readonly limit: number
  /** Shared by all chains of a page. */
  readonly budget: { bytes: number }
  readonly search: ReturnType<typeof createSearch>
}

type ChainReader = ReturnType<typeof createChainReader>

/** Reads one chain backwards. */
function createChainReader({ instance, files, seq, bytes, limit, budget, search }: ChainReaderDeps) {
  /** What was found and not yet taken, the newest last, each with where its line stands. */
  const held: { seq: number; from: number; end: number; issuance: RecordedIssuance }[] = []
  /** Up to here everything was found: a place in the last of `files`. */
  let until = files.at(-1)?.seq === seq ? bytes : undefined
  return { instance, peek, take, isOver: () => held.length === 0 && files.length === 0, position }

  async function peek(): Promise<RecordedIssuance | 'later' | undefined> {
    while (held.length === 0) {
      const file = files.at(-1)
      if (file === undefined) return undefined
      if (budget.bytes <= 0) return 'later'
      await lookThrough(file)
    }
    return held.at(-1)?.issuance
  }

  function take(): void {
    held.pop()
  }

  function position(): readonly [number, number | null] {
    const next = held.at(-1)
    if (next !== undefined) return [next.seq, next.end]
    return [files.at(-1)?.seq ?? 0, until ?? null]
  }

  async function lookThrough(file: ChainFile): Promise<void> {
    try {
      if (file.packed) await lookThroughPacked(file)
      else await lookThroughTail(file)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      // It was packed since it was found, or had been kept long enough.
      files.pop()
      if (!file.packed) files.push({ ...file, path: `${file.path}.gz`, packed: true })
      else until = undefined
      return
    }
    if (until === 0) {
      files.pop()
      until = undefined
    }
  }

  async function lookThroughTail({ path, seq }: ChainFile): Promise<void> {
    const handle = await open(path)
    try {
      const end = until ?? (await handle.stat()).size
      const begin = Math.max(0, end - CHUNK_BYTES)
      const chunk = Buffer.alloc(end - begin)
      await handle.read(chunk, 0, chunk.length, begin)
      budget.bytes -= chunk.length
      // Without the line that began before it, which comes with the next chunk. What is longer than that is none.
      const first = begin === 0 ? 0 : chunk.indexOf(NEWLINE) + 1
      const from = begin + first
      until = begin > 0 && (first === 0 || from === end) ? begin : from
      for (const { line, from: at } of search(chunk.subarray(first))) hold(seq, from + at, line)
    } finally {
      await handle.close()
    }
  }

  // Backwards is no way through what is packed: all of it is read, and the last of what fits is kept.
  async function lookThroughPacked(file: ChainFile): Promise<void> {
    const end = until ?? Number.POSITIVE_INFINITY
    let from = 0
    let isCut = false
    for await (const block of readBlocks(file)) {
      budget.bytes -= block.length
      for (const { line, from: at } of search(block)) {
        if (from + at >= end) break
        hold(file.seq, from + at, line)
        if (held.length > limit) {
          held.shift()
          isCut = true
        }
      }
      from += block.length
      if (from >= end) break
    }
    until = isCut ? (held[0]?.from ?? 0) : 0
  }

  function hold(seq: number, from: number, line: string): void {
    const issuance = readIssuance(line)
    if (issuance === undefined) return
    const end = from + Buffer.byteLength(line) + 1
    held.push({ seq, from, end, issuance: { ...issuance, instance } })
  }
}

function readIssuance(line: string) {
  if (!line.includes('"type":"issued"')) return undefined
  try {
    return issuanceSchema.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}

function writeCursor(chains: readonly ChainReader[]): string {
  const positions = Object.fromEntries(chains.map((chain) => [chain.instance, chain.position()]))
  return Buffer.from(JSON.stringify(positions)).toString('base64url')
}

function readCursor(cursor: string): Positions {
  try {
    return positionsSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch {
    throw new JetonError('body_invalid', 'The cursor is not one of this list.')
  }
}
