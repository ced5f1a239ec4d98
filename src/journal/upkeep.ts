import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { constants, createGzip } from 'node:zlib'
import type { TakeHold } from './claim.ts'
import { syncPath } from './disk.ts'
import { type ChainFile, dayOf, LOCK_NAME, listFiles, listInstances } from './folder.ts'

const EVERY_MS = 60_000
const DAY_MS = 86_400_000
/** As many are looked at before others have their turn. */
const FILES_A_TURN = 1_000

/**
 * How long a file must have been too old before it is removed, by a clock that never jumps: a wall clock that leaps ahead
 * and is set right again takes no record with it.
 */
const DOUBT_MS = 3_600_000

// About six megabytes a second: requests come first, and what is written faster for a while is packed later. A bit at a
// time, since on one core a write of the journal may have to wait for it: 0.16 ms each, where 1 ms could be felt.
const CHUNK_BYTES = 32_768
const PAUSE_MS = 5

interface UpkeepLog {
  error(fields: object, message: string): void
}

interface UpkeepDeps {
  readonly folder: string
  readonly keepDays: number
  readonly takeHold: TakeHold
  /** Unix milliseconds. */
  readonly now: () => number
  readonly monotonic: () => number
  readonly log: UpkeepLog
  /** This process's own chain, and the place of the file that it writes now. */
  readonly own: () => { readonly instance: string; readonly seq: number | undefined } | undefined
}

/** Packs files that are complete, and removes those that were kept long enough, an hour after it saw that they were. */
export interface Upkeep {
  /** Does it now and every minute, beside everything else. */
  start(): void
  /** Once over all chains. */
  pass(): Promise<void>
  /** Comes back once nothing is under way. */
  stop(): Promise<void>
}

export function createUpkeep({ folder, keepDays, takeHold, now, monotonic, log, own }: UpkeepDeps): Upkeep {
  const ending = new AbortController()
  const { signal } = ending
  // Since when each file is too old, on the monotonic clock.
  const dueSince = new Map<string, number>()
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  return {
    start() {
      void pass()
      timer = setInterval(() => void pass(), EVERY_MS).unref()
    },
    pass,
    async stop() {
      clearInterval(timer)
      ending.abort()
      await running
    },
  }

  function pass(): Promise<void> {
    running ??= lookAfterAll().finally(() => {
      running = undefined
    })
    return running
  }

  async function lookAfterAll(): Promise<void> {
    try {
      for (const instance of await listInstances(folder)) {
        if (signal.aborted) return
        if (instance === own()?.instance) await lookAfterOwn(instance)
        else await lookAfterOther(instance)
      }
    } catch (err) {
      if (!signal.aborted) log.error({ err }, 'old files of the journal cannot be packed or removed')
    }
  }

  async function lookAfterOwn(instance: string): Promise<void> {
    await lookAfterEach(await listFiles(join(folder, instance)), (file) => {
      const current = own()
      return current?.instance === instance && current.seq !== undefined && file.seq < current.seq
    })
  }

  // A process that ended may never come back. On the day of its end it is left alone, so that one that takes its place
  // finds its chain free.
  async function lookAfterOther(instance: string): Promise<void> {
    const newest = (await listFiles(join(folder, instance))).at(-1)
    if (newest === undefined || newest.day >= dayOf(now())) return
    const hold = takeHold(join(folder, instance, LOCK_NAME))
    if (hold === undefined) return
    try {
      // Another process may have looked after them since.
      await lookAfterEach(await listFiles(join(folder, instance)), () => true)
    } finally {
      hold.release()
    }
  }

  // Until one is none of its business, or everything ends. Most have nothing to be done about, and others have their turn.
  async function lookAfterEach(
    files: readonly ChainFile[],
    isOurs: (file: ChainFile) => boolean,
  ): Promise<void> {
    const firstKept = dayOf(now() - keepDays * DAY_MS)
    for (const [index, file] of files.entries()) {
      if (index % FILES_A_TURN === FILES_A_TURN - 1) await nextTurn()
      if (signal.aborted || !isOurs(file)) return
      await lookAfter(file, firstKept)
    }
  }

  async function lookAfter(file: ChainFile, firstKept: string): Promise<void> {
    if (isDue(file, firstKept)) {
      await remove(file)
      dueSince.delete(plainPathOf(file))
    } else if (!file.packed) await pack(file, signal)
  }

  function isDue(file: ChainFile, firstKept: string): boolean {
    const plain = plainPathOf(file)
    if (file.day >= firstKept) {
      dueSince.delete(plain)
      return false
    }
    const since = dueSince.get(plain) ?? monotonic()
    dueSince.set(plain, since)
    return monotonic() - since >= DOUBT_MS
  }
}

// Where it lies, or lay before it was packed.
function plainPathOf({ path, packed }: ChainFile): string {
  return packed ? path.slice(0, -'.gz'.length) : path
}

async function remove(file: ChainFile): Promise<void> {
  const plain = plainPathOf(file)
  for (const suffix of ['', '.gz', '.gz.tmp']) await rm(`${plain}${suffix}`, { force: true })
}

/** Puts a packed copy in the place of a file: whole or not at all, and on the disk before the file goes. */
export async function pack({ path }: Pick<ChainFile, 'path'>, signal: AbortSignal): Promise<void> {
  const draft = `${path}.gz.tmp`
  try {
    await writePacked(path, draft, signal)
  } catch (error) {
    // It takes room that may be what is wanting.
    await rm(draft, { force: true })
    throw error
  }
  await rename(draft, `${path}.gz`)
  await syncPath(dirname(path))
  await rm(path)
}

async function writePacked(path: string, draft: string, signal: AbortSignal): Promise<void> {
  await rm(draft, { force: true })
  await pipeline(
    createReadStream(path, { highWaterMark: CHUNK_BYTES }),
    async function* slowly(chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        yield chunk
        await sleep(PAUSE_MS, undefined, { signal, ref: false })
      }
    },
    // A third less of the processor, for files that are 3 % larger.
    createGzip({ level: constants.Z_BEST_SPEED }),
    createWriteStream(draft, { mode: 0o600, flush: true }),
    { signal },
  )
}
