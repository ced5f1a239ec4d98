// What an installation with many keys costs beside one with a few: `npm run bench:keys`. docs/operations.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withKeys } from './fill.ts'
import { type Installed, install } from './jeton.ts'
import { NUMBER } from './load.ts'
import { alternate, figures, type Side } from './rounds.ts'
import { type BenchServer, type Memory, startServer } from './server.ts'
import { median, printLine, printRounds } from './table.ts'

const FEW_KEYS = 10
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

interface Sampled extends Installed {
  readonly sample: readonly string[]
}

const broken: string[] = []
const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
const running = new Set<BenchServer>()
try {
  const few = await installKeys(join(folder, 'few'), FEW_KEYS)
  const many = await installKeys(join(folder, 'many'), manyKeys)
  printLine(['', `${FEW_KEYS} keys`, `${manyKeys} keys`, 'difference'])
  await compareStarts(few, many)
  await compareUse(few, many)
  printLine([broken.length === 0 ? 'Every promise was kept.' : `Broken: ${broken.join(', ')}`])
  process.exitCode = broken.length === 0 ? 0 : 1
} finally {
  for (const server of running) await server.stop()
  await rm(folder, { recursive: true })
}

async function installKeys(DATA_DIR: string, count: number): Promise<Sampled> {
  const sample: string[] = []
  return { ...(await install(DATA_DIR, {}, { fill: withKeys(count, sample) })), sample }
}

/** Starts that alternate, each ended before the next. The first of each warms the disk's cache and is not counted. */
async function compareStarts(few: Sampled, many: Sampled): Promise<void> {
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
    printLine([clock === 'wall' ? `start, median of ${starts}` : '  processor time', ...columns])
  }
}

async function compareUse(few: Sampled, many: Sampled): Promise<void> {
  const servers = [await run(few.env), await run(many.env)] as const
  const idle = [await servers[0].settledMemory(), await servers[1].settledMemory()] as const
  printMemory('idle', idle)
  judge('memory', idle[1].residentMegabytes - idle[0].residentMegabytes <= MOST_MORE_MEGABYTES)
  const sides = [minting(servers[0], few), minting(servers[1], many)] as const
  await compareMinting(sides)
  printMemory('after the load', [await servers[0].settledMemory(), await servers[1].settledMemory()])
  for (const server of servers) await end(server)
}

// One key of the sample after another, and each token for somebody else: no limit but the key's is in the way.
function minting(server: BenchServer, { sample, verify }: Sampled): Side {
  const authorizations = sample.map((key) => `Bearer ${key}`)
  const body = JSON.stringify({ userId: `user-${NUMBER}`, name: 'Alice' })
  return {
    name: `${sample.length} keys`,
    server,
    load: { path: '/auth/token', authorizations, body, connections: CONNECTIONS, seconds },
    check: (answer) => verify(JSON.parse(answer).token),
    checksAll: true,
    rounds: [],
  }
}

async function compareMinting(sides: readonly [Side, Side]): Promise<void> {
  await alternate(sides, rounds)
  const [few, many] = sides
  printRounds('tokens/s', figures(few, 'rate'), figures(many, 'rate'))
  printRounds('processor µs a token', figures(few, 'cost'), figures(many, 'cost'))
  // As fast as with a few: no slower in the middle than those were in some round.
  judge('mint speed', median(figures(many, 'rate')) >= Math.min(...figures(few, 'rate')))
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
    printLine([
      `${name}, ${when}`,
      ...[of(few), of(many), of(many) - of(few)].map((mb) => `${mb.toFixed(1)} MB`),
    ])
  }
}
