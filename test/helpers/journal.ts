import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { type FileJournalDeps, openFileJournal } from '../../src/journal/file-journal.ts'
import { listInstances } from '../../src/journal/folder.ts'
import type { AlertRecord, Issuance } from '../../src/journal/journal.ts'
import { verifyChain } from '../../src/journal/verify.ts'
import { systemSeams } from '../../src/seams.ts'
import { holdIfFree } from '../../src/store/hold.ts'
import { temporaryFolder } from './process.ts'

export const issuance: Issuance = {
  environmentId: 'env_0123456789abcdef',
  keyId: 'kid_0123456789abcdef',
  format: 'channels',
  subject: 'alice',
  jti: 'AAAAAAAAAAAAAAAAAAAAAA',
  policy: { channels: ['room-1'] },
  ttlSeconds: 60,
  expiresAt: 1_795_351_463,
  bytes: 400,
  address: '127.0.0.1',
  endUserAddress: undefined,
  userAgent: 'backend/1.0',
  requestId: 'r-1',
}

export const alert: AlertRecord = {
  event: 'raised',
  alertId: 'alr_0123456789abcdef',
  environmentId: issuance.environmentId,
  keyId: issuance.keyId,
  minute: '2026-11-22T12:00:00Z',
  issued: 50,
  median: 0,
}

/**
 * Puts what is only opened once its reader is there in the place of a file.
 *
 * @returns once somebody opens it, what lets the reader go on
 */
export async function readerOf(path: string): Promise<() => Promise<void>> {
  rmSync(path)
  execFileSync('mkfifo', [path])
  const writer = await open(path, 'w')
  return () => writer.close()
}

/** A token of this name. */
export function tokenOf(jti: string): Issuance {
  return { ...issuance, jti }
}

/** A folder for journals, and what opens one in it as a process of its own would. */
export async function journalFolderOf(t: TestContext) {
  const folder = join(await temporaryFolder(t), 'journal')
  const told: [level: string, message: string][] = []
  const log = {
    info: (_fields: object, message: string) => told.push(['info', message]),
    error: (_fields: object, message: string) => told.push(['error', message]),
  }
  const open = async (deps: Partial<FileJournalDeps> = {}) => {
    const journal = await openFileJournal({
      folder,
      keepDays: 90,
      takeHold: holdIfFree,
      seams: systemSeams,
      log,
      ...deps,
    })
    t.after(() => journal.close())
    return journal
  }
  const recordsIn = () => readRecords(folder)
  return { folder, open, told, recordsIn, verify: () => verifyAll(folder) }
}

/** Every record of every file, whole lines alone, by instance and in the order of its files. */
export function readRecords(folder: string): Record<string, unknown>[] {
  return filesIn(folder).flatMap(readFile)
}

/** The records of a file, but for what ends in no line's end. */
export function readFile(path: string): Record<string, unknown>[] {
  // It may have been packed since it was listed.
  const there = existsSync(path) ? path : `${path}.gz`
  const bytes = there.endsWith('.gz') ? gunzipSync(readFileSync(there)) : readFileSync(there)
  const lines = bytes.toString().split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line))
}

/** Where the files of the journals are. */
export function filesIn(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((instance) =>
      readdirSync(join(folder, instance))
        .sort()
        // Between the packing of a file and its removal, which a kill may prevent, there are both.
        .filter((name, _, all) => name.endsWith('.jsonl') || isPackedAlone(name, all))
        .map((name) => join(folder, instance, name)),
    )
}

function isPackedAlone(name: string, all: readonly string[]): boolean {
  return name.endsWith('.jsonl.gz') && !all.includes(name.slice(0, -'.gz'.length))
}

/** What `jeton journal verify` would find, for each chain. */
export async function verifyAll(folder: string, anchors: readonly string[] = [], keptSince = '') {
  const instances = await listInstances(folder)
  return await Promise.all(instances.map((instance) => verifyChain(folder, instance, { keptSince, anchors })))
}

/** Asks until it is so. A test that waits here has a deadline of its own. */
export async function eventually(
  isSo: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const until = performance.now() + withinMs
  while (!(await isSo())) {
    if (performance.now() > until) throw new Error(`It never came to be: ${what}`)
    await sleep(20)
  }
}
