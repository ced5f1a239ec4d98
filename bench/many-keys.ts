// What an installation with many keys costs beside one with a few: `npm run bench:keys`. docs/operations.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openInstallation } from '../src/compose.ts'
import { readConfig } from '../src/config.ts'
import { generateApiKey } from '../src/keys/api-keys.ts'
import { systemSeams } from '../src/seams.ts'
import { mintForAWhile } from './load.ts'
import { type BenchServer, type Memory, startServer } from './server.ts'

const FEW_KEYS = 10
/** Keys that the load uses, of all that there are. */
const SAMPLED_KEYS = 1_000
const KEYS_PER_TRANSACTION = 10_000
const CONNECTIONS = 8

// What is promised of many keys beside a few.
const MOST_MORE_MEGABYTES = 80
const MOST_LATER_MS = 3_000

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    starts: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '11' },
    seconds: { type: 'string', default: '2' },
  },
})
const manyKeys = Number(options.keys)
const starts = Number(options.starts)
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)

interface Installed {
  readonly env: Readonly<Record<string, string>>
  readonly sample: readonly string[]
}

const broken: string[] = []
const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
const running = new Set<BenchServer>()
try {
  const few = await install(join(folder, 'few'), FEW_KEYS)
  const many = await install(join(folder, 'many'), manyKeys)
  print(['', `${FEW_KEYS} keys`, `${manyKeys} keys`, 'difference'])
  await compareStarts(few, many)
  await compareUse(few, many)
  print([broken.length === 0 ? 'Every promise was kept.' : `Broken: ${broken.join(', ')}`])
  process.exitCode = broken.length === 0 ? 0 : 1
} finally {
  for (const server of running) await server.stop()
  await rm(folder, { recursive: true })
}

/** An installation with one environment, whose keys have a name and a grant of their own as most would. */
async function install(DATA_DIR: string, count: number): Promise<Installed> {
  const env = { DATA_DIR, RATE_LIMIT_KEY: '9999999/1m' }
  const sample: string[] = []
  const installation = await openInstallation(readConfig(env), systemSeams)
  const { environment } = await installation.environments.create('Bench')
  for (let made = 0; made < count; ) {
    const until = Math.min(count, made + KEYS_PER_TRANSACTION)
    await installation.store.change(async (changes) => {
      for (; made < until; made += 1) {
        const carried = { name: `backend of customer ${made}`, grant: { channels: [`customer-${made}-*`] } }
        const { row, text } = generateApiKey('secret', environment, systemSeams, carried)
        await changes.insertApiKey(row)
        if (made % Math.ceil(count / SAMPLED_KEYS) === 0) sample.push(text)
      }
    })
  }
  await installation.close()
  return { env, sample }
}

/** Starts that alternate, each ended before the next. The first of each warms the disk's cache and is not counted. */
async function compareStarts(few: Installed, many: Installed): Promise<void> {
  const sides = [
    { env: few.env, wall: Array.of<number>(), processor: Array.of<number>() },
    { env: many.env, wall: Array.of<number>(), processor: Array.of<number>() },
  ] as const
  for (let start = 0; start <= starts; start += 1) {
    for (const { env, wall, processor } of sides) {
      const server = await run(env)
      if (start > 0) {
        wall.push(server.startMs)
        processor.push(await server.processorMs())
      }
      await end(server)
    }
  }
  for (const clock of ['wall', 'processor'] as const) {
    const [fewMs, manyMs] = [median(sides[0][clock]), median(sides[1][clock])]
    const columns = [fewMs, manyMs, manyMs - fewMs].map((ms) => `${(ms / 1000).toFixed(2)} s`)
    if (clock === 'wall') judge('start', manyMs - fewMs <= MOST_LATER_MS)
    print([clock === 'wall' ? `start, median of ${starts}` : '  processor time', ...columns])
  }
}

async function compareUse(few: Installed, many: Installed): Promise<void> {
  const servers = [await run(few.env), await run(many.env)] as const
  const idle = [await servers[0].settledMemory(), await servers[1].settledMemory()] as const
  printMemory('idle', idle)
  judge('memory', idle[1].residentMegabytes - idle[0].residentMegabytes <= MOST_MORE_MEGABYTES)
  await compareMinting(
    { server: servers[0], keys: few.sample, rates: [], costs: [] },
    { server: servers[1], keys: many.sample, rates: [], costs: [] },
  )
  printMemory('after the load', [await servers[0].settledMemory(), await servers[1].settledMemory()])
  for (const server of servers) await end(server)
}

interface Side {
  readonly server: BenchServer
  readonly keys: readonly string[]
  /** By round: tokens a second, and the server's processor time for each token in microseconds. */
  readonly rates: number[]
  readonly costs: number[]
}

/** One after the other, and the other one first in the next round. The first round warms both up and is not counted. */
async function compareMinting(few: Side, many: Side): Promise<void> {
  for (let round = 0; round <= rounds; round += 1) {
    for (const { server, keys, rates, costs } of round % 2 === 0 ? [few, many] : [many, few]) {
      const before = await server.processorMs()
      const minted = await mintForAWhile({ url: server.url, keys, connections: CONNECTIONS, seconds })
      const spentMs = (await server.processorMs()) - before
      if (round === 0) continue
      rates.push(minted.tokens / minted.seconds)
      costs.push((spentMs * 1000) / minted.tokens)
    }
  }
  printRounds('tokens/s', few.rates, many.rates)
  printRounds('processor µs a token', few.costs, many.costs)
  // As fast as with a few: no slower in the middle than those were in some round.
  judge('mint speed', median(many.rates) >= Math.min(...few.rates))
}

function printRounds(what: string, few: readonly number[], many: readonly number[]): void {
  const ratios = many.map((value, round) => value / (few[round] ?? Number.NaN))
  print([what, median(few).toFixed(), median(many).toFixed(), `× ${median(ratios).toFixed(3)}`])
  print(['  of all rounds', spread(few), spread(many), `× ${spread(ratios, 3)}`])
}

async function run(env: Installed['env']): Promise<BenchServer> {
  const server = await startServer(env)
  running.add(server)
  return server
}

async function end(server: BenchServer): Promise<void> {
  running.delete(server)
  await server.stop()
}

function judge(promise: string, kept: boolean): void {
  if (!kept) broken.push(promise)
}

function printMemory(when: string, [few, many]: readonly [Memory, Memory]): void {
  for (const [name, of] of [
    ['resident', (memory: Memory) => memory.residentMegabytes],
    ['  highest', (memory: Memory) => memory.highestMegabytes],
  ] as const) {
    print([`${name}, ${when}`, ...[of(few), of(many), of(many) - of(few)].map((mb) => `${mb.toFixed(1)} MB`)])
  }
}

function print([what = '', ...columns]: readonly string[]): void {
  process.stdout.write(`${what.padEnd(28)}${columns.map((column) => column.padStart(24)).join('')}\n`)
}

function spread(values: readonly number[], digits = 0): string {
  return `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}
