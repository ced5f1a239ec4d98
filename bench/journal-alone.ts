// How long a record takes until it is safe, at a steady rate and with nothing else in the process: `npm run
// bench:journal-alone -- [--folder F] [--rate N] [--rest]`. docs/journal.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Disk, type OpenFile, systemDisk } from '../src/journal/disk.ts'
import { openFileJournal } from '../src/journal/file-journal.ts'
import type { Issuance } from '../src/journal/journal.ts'
import { systemSeams } from '../src/seams.ts'
import { holdIfFree } from '../src/store/hold.ts'
import { median, printLine, spread } from './table.ts'

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string', default: tmpdir() },
    rate: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '7' },
    // Looks once a millisecond and rests in between, so that what came meanwhile is recorded at once and timed from then.
    rest: { type: 'boolean', default: false },
  },
})
const rate = Number(options.rate)
const total = rate * Number(options.seconds)
/** The first tenth is for the compiler. */
const warmUp = Math.floor(total / 10)
/** How long the event loop is busy between two looks. */
const TURN_MS = 0.02
/** What a record of this bench takes in the file. */
const RECORD_BYTES = 386

/** Records an issuance, and comes back when it is safe. */
type Append = (issuance: Issuance) => Promise<void> | void

interface Way {
  readonly what: string
  readonly append: Append
  readonly rounds: Quantiles[]
}

/** In milliseconds. */
interface Quantiles {
  readonly p50: number
  readonly p99: number
}

/** What a write with its sync took, in milliseconds. */
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
  const plain = await systemDisk.create(join(folder, 'plain'))
  // What of the journal's time is not its own: the loop's, the collector's and the machine's; and with them the disk's
  // and the thread pool's, of a program that does nothing but write what waits.
  const ways: Way[] = [
    { what: 'nothing is recorded after, ms', append: nextTurn, rounds: [] },
    { what: 'a line of as many bytes is written after, ms', append: plainly(plain), rounds: [] },
    { what: 'a record is safe after, ms', append: journal.append, rounds: [] },
  ]
  const writeRounds: Quantiles[] = []
  for (let round = 0; round <= Number(options.rounds); round += 1) {
    for (const { append, rounds } of round % 2 === 0 ? ways : ways.toReversed()) {
      writes.length = 0
      const times = quantiles(await appendAtRate(append))
      // The first round is for the compiler.
      if (round === 0) continue
      rounds.push(times)
      if (append === journal.append) writeRounds.push(quantiles(writes))
    }
  }
  await plain.close()
  await journal.close()
  printLine([`${rate} records a second`, 'median', '99th percentile', 'of all rounds'])
  for (const { what, rounds } of [
    ...ways,
    { what: "the journal's writes with their sync, ms", rounds: writeRounds },
  ]) {
    const p99s = rounds.map(({ p99 }) => p99)
    const medians = [median(rounds.map(({ p50 }) => p50)), median(p99s)]
    printLine([what, ...medians.map((figure) => figure.toFixed(2)), spread(p99s, 2)])
  }
} finally {
  await rm(folder, { recursive: true })
}

/** @returns how long each record took, behind those of the warm-up, in milliseconds from when it was due or, with rests, recorded */
async function appendAtRate(append: Append): Promise<Float64Array> {
  // Made beforehand, and no promise is kept: what the bench itself leaves to the collector would be measured too.
  const times = new Float64Array(total)
  const from = performance.now()
  await new Promise<void>((resolve, reject) => {
    let [begun, safe] = [0, 0]
    turn()

    function turn(): void {
      const since = performance.now() - from
      const due = Math.min(total, Math.floor((since * rate) / 1000) + 1)
      for (; begun < due; begun += 1) note(begun, options.rest ? since : (begun * 1000) / rate).catch(reject)
      if (begun === total) return
      if (options.rest) setTimeout(turn, 1)
      else spin()
    }

    function spin(): void {
      setImmediate(turn)
      // A turn of the loop leaves half a kilobyte to the collector, and nobody needs a hundred thousand of them a second.
      for (const since = performance.now(); performance.now() - since < TURN_MS; );
    }

    async function note(index: number, since: number): Promise<void> {
      await append(issuanceOf(index))
      times[index] = performance.now() - from - since
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

/** All that waits in one write, and the next one once that is back: a group commit, and no more. */
function plainly(file: OpenFile): Append {
  const lines = Buffer.alloc(RECORD_BYTES * 10_000, 'x')
  let [waiting, isWriting]: [(() => void)[], boolean] = [[], false]
  return () =>
    new Promise<void>((resolve, reject) => {
      waiting.push(resolve)
      if (!isWriting) write().catch(reject)
    })

  async function write(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) {
      const written = waiting
      waiting = []
      await file.write(lines.subarray(0, written.length * RECORD_BYTES))
      for (const resolve of written) resolve()
    }
    isWriting = false
  }
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

function quantiles(times: readonly number[] | Float64Array): Quantiles {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}
