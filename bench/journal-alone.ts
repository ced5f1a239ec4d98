// How long a record takes until it is safe, at a steady rate and with nothing else in the process: `npm run
// bench:journal-alone -- [--folder F] [--rate N]`. docs/journal.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setInterval as every } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Disk, systemDisk } from '../src/journal/disk.ts'
import { openFileJournal } from '../src/journal/file-journal.ts'
import type { Issuance, Journal } from '../src/journal/journal.ts'
import { systemSeams } from '../src/seams.ts'
import { holdIfFree } from '../src/store/hold.ts'
import { printLine } from './table.ts'

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string', default: tmpdir() },
    rate: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '20' },
  },
})
const rate = Number(options.rate)
const total = rate * Number(options.seconds)
/** The first tenth is for the compiler. */
const warmUp = total / 10

const writes: number[] = []
let isWarm = false
// Made beforehand, and no promise is kept: what the bench itself leaves to the collector would be measured too.
const records = new Float64Array(total)
const folder = await mkdtemp(join(options.folder, 'jeton-bench-'))
try {
  const journal = await openFileJournal({
    folder,
    keepDays: 1,
    takeHold: holdIfFree,
    seams: systemSeams,
    log: { info() {}, error: (fields) => process.stderr.write(`${JSON.stringify(fields)}\n`) },
    disk: timed(systemDisk),
  })
  await appendAtRate(journal)
  await journal.close()
  printLine([`${rate} records a second`, 'median', '99th percentile'])
  for (const [what, times] of [
    ['a write with its sync, ms', writes],
    ['a record is safe after, ms', records.subarray(warmUp)],
  ] as const) {
    printLine([what, percentile(times, 0.5), percentile(times, 0.99)])
  }
} finally {
  await rm(folder, { recursive: true })
}

/** Comes back when the last record is safe. */
async function appendAtRate(journal: Journal): Promise<void> {
  let count = 0
  let last: Promise<void> | undefined
  const from = performance.now()
  for await (const _ of every(1)) {
    const due = Math.min(total, Math.floor(((performance.now() - from) * rate) / 1000))
    isWarm = count >= warmUp
    for (; count < due; count += 1) last = append(journal, count, from + (count * 1000) / rate)
    if (due === total) break
  }
  await last
}

/** @param dueAt what its time counts from: the moment at which it would have come in a program that never stands still */
async function append(journal: Journal, index: number, dueAt: number): Promise<void> {
  await journal.append(issuanceOf(index))
  records[index] = performance.now() - dueAt
}

function issuanceOf(index: number): Issuance {
  return {
    environmentId: 'env_bench',
    keyId: 'key_bench',
    format: 'user',
    subject: `user-${index}`,
    jti: `jti-of-22-characters-${index}`,
    expiresAt: 1_900_000_000,
    ttlSeconds: 3_600,
    policy: {},
    bytes: 420,
    address: '127.0.0.1',
    endUserAddress: undefined,
    userAgent: 'bench',
    requestId: `request-${index}`,
  }
}

function timed(disk: Disk): Disk {
  return {
    ...disk,
    async create(path) {
      const file = await disk.create(path)
      return {
        ...file,
        async write(bytes) {
          const from = performance.now()
          const taken = await file.write(bytes)
          if (isWarm) writes.push(performance.now() - from)
          return taken
        },
      }
    },
  }
}

function percentile(times: readonly number[] | Float64Array, part: number): string {
  const sorted = times.toSorted((a, b) => a - b)
  return (sorted[Math.floor(sorted.length * part)] ?? Number.NaN).toFixed(2)
}
