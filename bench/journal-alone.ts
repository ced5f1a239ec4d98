// How long a record takes until it is safe, at a steady rate and with nothing else in the process: `npm run
// bench:journal-alone -- [--folder F] [--rate N]`. docs/journal.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Disk, systemDisk } from '../src/journal/disk.ts'
import { openFileJournal } from '../src/journal/file-journal.ts'
import type { Issuance } from '../src/journal/journal.ts'
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

/** Records an issuance, and comes back when it is safe. */
type Append = (issuance: Issuance) => Promise<void> | void

const writes: number[] = []
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
  // The same without a journal: what the loop itself, the collector and the machine take.
  const nothing = await appendAtRate(nextTurn)
  const recorded = await appendAtRate(journal.append)
  await journal.close()
  printLine([`${rate} records a second`, 'median', '99th percentile'])
  for (const [what, times] of [
    ['a write with its sync, ms', writes],
    ['a record is safe after, ms', recorded],
    ['nothing is recorded after, ms', nothing],
  ] as const) {
    printLine([what, percentile(times, 0.5), percentile(times, 0.99)])
  }
} finally {
  await rm(folder, { recursive: true })
}

/** @returns how long each record took, behind those of the warm-up, in milliseconds from when it was due */
async function appendAtRate(append: Append): Promise<Float64Array> {
  // Made beforehand, and no promise is kept: what the bench itself leaves to the collector would be measured too.
  const times = new Float64Array(total)
  const from = performance.now()
  await new Promise<void>((resolve, reject) => {
    let [begun, safe] = [0, 0]
    turn()

    // With every turn of the event loop: a timer would let a millisecond's records come at once.
    function turn(): void {
      const due = Math.min(total, Math.floor(((performance.now() - from) * rate) / 1000) + 1)
      for (; begun < due; begun += 1) note(begun).catch(reject)
      if (begun < total) setImmediate(turn)
    }

    async function note(index: number): Promise<void> {
      await append(issuanceOf(index))
      times[index] = performance.now() - from - (index * 1000) / rate
      safe += 1
      if (safe === warmUp) writes.length = 0
      if (safe === total) resolve()
    }
  })
  return times.subarray(warmUp)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
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
          writes.push(performance.now() - from)
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
