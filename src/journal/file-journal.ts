import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Seams } from '../seams.ts'
import { type ChainWriter, createChainWriter, type WrittenPlace } from './chain-writer.ts'
import type { TakeHold } from './claim.ts'
import { type Disk, systemDisk } from './disk.ts'
import {
  type AlertRecord,
  type Issuance,
  type Journal,
  type JournalStanding,
  journalUnavailable,
  type WrittenBatch,
} from './journal.ts'
import { alerted, closed, type Draft, issued } from './record.ts'
import { createRefusals } from './refusals.ts'
import { createUpkeep } from './upkeep.ts'

/** A file of a chain is followed by another one at this size. To remove it, once it is packed, keeps the disk for some 10 ms. */
const ROLL_BYTES = 16_777_216

/** What may wait to be written, in bytes, before requests are refused instead of memory being filled. */
const BACKLOG_BYTES = 8_388_608

/** How often a journal that failed is tried again, and a disk is looked at from which nothing comes back. */
const LOOK_EVERY_MS = 250
/** How often the file of a journal that nobody writes to is looked at. */
const CHECK_EVERY_MS = 1_000
/** A disk that has not answered for so long has failed. */
const PATIENCE_MS = 5_000
/** For so many turns of the event loop a batch waits for more records, while each brings some. */
const MOST_TURNS = 2

/** As much of a logger as a journal needs. */
interface JournalLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface FileJournalDeps {
  /** Where the chains of all processes on this data folder lie. */
  readonly folder: string
  /** Files of earlier days than so many are removed. */
  readonly keepDays: number
  readonly takeHold: TakeHold
  readonly seams: Seams
  readonly log: JournalLog
  /** Told of each batch that is safe. */
  readonly onBatch?: (batch: WrittenBatch) => void
  readonly disk?: Disk
  readonly rollBytes?: number
}

/** A record that waits, and whether a request waits for it. */
interface Waiting extends Draft {
  readonly isAwaited: boolean
}

/** What is written at once. All its requests wait for the same promise. */
interface Batch {
  readonly records: Waiting[]
  bytes: number
  settled: PromiseWithResolvers<void> | undefined
}

/**
 * Records in files of this process's own, each record on the disk before its token leaves. Many requests share one
 * write. While the files cannot be written it refuses, and tries again by itself.
 */
export async function openFileJournal(deps: FileJournalDeps): Promise<Journal> {
  const { folder, keepDays, takeHold, seams, log, onBatch, disk = systemDisk, rollBytes = ROLL_BYTES } = deps
  const { now, monotonic, random } = seams
  const chain: ChainWriter = createChainWriter({ folder, disk, takeHold, now, random, rollBytes })
  const upkeep = createUpkeep({ folder, keepDays, takeHold, now, monotonic, log, own: chain.standing })
  const refusals = createRefusals({ now, monotonic, post })
  let next = emptyBatch()
  let writing: Batch | undefined
  let writingSince = 0
  let checkedAt = monotonic()
  let isOpen = false
  let opening: 'start' | 'recovery' = 'start'
  let fault: string | undefined
  let isEnding = false
  /** Whether its last record was handed in: nothing comes behind that. */
  let hasEnded = false
  let running: Promise<void> | undefined
  /** Where it ended, for who asks afterwards. */
  let ended: JournalStanding | undefined

  await work()
  const timer = setInterval(look, LOOK_EVERY_MS).unref()
  upkeep.start()
  return { isAvailable, append, refuse: refusals.note, alert, standing, close }

  function isAvailable(): boolean {
    return isOpen && !hasEnded && backlogBytes() < BACKLOG_BYTES && !isStuck()
  }

  function append(issuance: Issuance): Promise<void> {
    if (!isAvailable()) throw journalUnavailable()
    add({ ...issued(now(), issuance), isAwaited: true })
    next.settled ??= Promise.withResolvers()
    return next.settled.promise
  }

  // Nothing tells of it a second time, and there are few: it waits for a disk that is away.
  function alert(record: AlertRecord): void {
    if (!hasEnded && backlogBytes() < BACKLOG_BYTES) add({ ...alerted(now(), record), isAwaited: false })
  }

  function post(draft: Draft): boolean {
    if (!isAvailable()) return false
    add({ ...draft, isAwaited: false })
    return true
  }

  function add(record: Waiting): void {
    next.records.push(record)
    next.bytes += record.members.length
    if (running === undefined) void work()
  }

  function backlogBytes(): number {
    return next.bytes + (writing?.bytes ?? 0)
  }

  function isStuck(): boolean {
    return writing !== undefined && monotonic() - writingSince > PATIENCE_MS
  }

  // One thing after another: what is written, looked at or opened again never overlaps.
  function work(): Promise<void> {
    running ??= workOff().finally(() => {
      running = undefined
      // It came when everything was done, and before this was known.
      if (isOpen && next.records.length > 0) void work()
    })
    return running
  }

  async function workOff(): Promise<void> {
    let failures = 0
    while (isOpen || (await tryToOpen())) {
      try {
        // A write looks at its file, and not at all that this does.
        if (monotonic() - checkedAt >= CHECK_EVERY_MS) {
          await chain.check()
          checkedAt = monotonic()
        } else if (next.records.length > 0) {
          await gather()
          await commit()
        } else return
        tellEnd()
      } catch (error) {
        fail(error)
        failures += 1
        // Once at once, then with every look: a disk that takes a beginning and no more must not fill with beginnings.
        if (failures > 1) {
          refuseWaiting()
          return
        }
      }
    }
  }

  // What arrives together shares a batch. So does what the callers of the batch before ask for next, once their tokens have
  // left: a turn costs less than a write. A turn without a record ends it, so that nobody waits for what may not come.
  async function gather(): Promise<void> {
    for (let turn = 0; turn < MOST_TURNS; turn += 1) {
      const had = next.records.length
      await nextTurn()
      if (next.records.length === had) return
    }
  }

  async function commit(): Promise<void> {
    const batch = next
    next = emptyBatch()
    writing = batch
    writingSince = monotonic()
    const place = await write(batch)
    batch.settled?.resolve()
    try {
      onBatch?.({ ...place, records: batch.records, seconds: (monotonic() - writingSince) / 1000 })
    } catch (err) {
      // Whoever listens cannot undo what is safe.
      log.error({ err }, 'what was recorded could not be told of')
    }
  }

  async function write(batch: Batch): Promise<WrittenPlace> {
    try {
      return await chain.write(batch.records)
    } catch (error) {
      batch.settled?.reject(journalUnavailable())
      // What nobody waits for can still be written when the disk is back, in front of what came since.
      const kept = batch.records.filter(({ isAwaited }) => !isAwaited)
      next.records.unshift(...kept)
      next.bytes += bytesOf(kept)
      throw error
    } finally {
      writing = undefined
    }
  }

  // A file on which a write failed is never asked again: the system may have dropped what it could not write, and say yes
  // the second time. What is not known to be safe is left behind with its file.
  function fail(error: unknown): void {
    isOpen = false
    opening = 'recovery'
    chain.abandon()
    tell(error)
  }

  async function tryToOpen(): Promise<boolean> {
    try {
      await chain.open(opening, fault)
    } catch (error) {
      tell(error)
      refuseWaiting()
      return false
    }
    isOpen = true
    tellEnd()
    return true
  }

  function tellEnd(): void {
    if (fault !== undefined) log.info({ fault }, 'the journal can be written again')
    fault = undefined
  }

  // Once, and not for every try.
  function tell(error: unknown): void {
    if (fault === undefined) log.error({ err: error }, 'the journal cannot be written')
    fault ??= error instanceof Error ? error.message : String(error)
  }

  function refuseWaiting(): void {
    next.settled?.reject(journalUnavailable())
    const posted = next.records.filter(({ isAwaited }) => !isAwaited)
    next = { ...emptyBatch(), records: posted, bytes: bytesOf(posted) }
  }

  function look(): void {
    if (isEnding) return
    if (isStuck()) {
      tell(new Error(`The disk has not answered for ${PATIENCE_MS} ms`))
      writing?.settled?.reject(journalUnavailable())
      refuseWaiting()
    }
    void work()
  }

  function standing(): JournalStanding | undefined {
    const found = chain.standing()
    if (found === undefined) return ended
    return { instance: found.instance, isHeld: true, head: found.head, backlogBytes: backlogBytes() }
  }

  async function close(): Promise<void> {
    isEnding = true
    clearInterval(timer)
    await upkeep.stop()
    refusals.flush()
    post(closed(now()))
    hasEnded = true
    await running
    await work()
    const last = standing()
    ended = last && { ...last, isHeld: false }
    await chain.close()
  }
}

function bytesOf(records: readonly Waiting[]): number {
  return records.reduce((sum, { members }) => sum + members.length, 0)
}

function emptyBatch(): Batch {
  return { records: [], bytes: 0, settled: undefined }
}
