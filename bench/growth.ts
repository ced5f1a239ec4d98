// Whether the mint grows slower or larger with what it holds and has done: `npm run bench:growth`. notes.md tells of it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withKeys, withRevocations } from './fill.ts'
import { type Fill, install } from './jeton.ts'
import { ask, NUMBER } from './load.ts'
import { installPeers } from './peers.ts'
import { alternate, figures, type Side } from './rounds.ts'
import { type BenchServer, MAIN, startServer } from './server.ts'
import { median, printLine, ratiosOf, spread } from './table.ts'

const { values: options } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000' },
    revocations: { type: 'string', default: '100000' },
    subjects: { type: 'string', default: '1000000' },
    tokens: { type: 'string', default: '2000000' },
    // Of these tokens. A subject is remembered for two minutes: only then as many run out as come, and memory can be flat.
    'least-seconds': { type: 'string', default: '300' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)

/** A server is asked for so long at once, so that its memory can be told between. */
const FILL_SECONDS = 20
const CONNECTIONS = 64
const FEW_KEYS = 10
/** Subjects are forgotten two seconds later, or only after the bench. */
const [FEW_SUBJECTS, ALL_SUBJECTS] = ['10/1s', '10/6h']

const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
const running: BenchServer[] = []
try {
  await installPeers()
  await bench()
} finally {
  for (const server of running) await server.stop()
  await rm(folder, { recursive: true })
}

async function bench(): Promise<void> {
  const few = await start('few of everything', FEW_SUBJECTS, withKeys(FEW_KEYS, []))
  const keys = await start(`${options.keys} keys`, FEW_SUBJECTS, withKeys(Number(options.keys), []))
  const filled = withRevocations(Number(options.revocations))
  const revocations = await start(`${options.revocations} revocations`, FEW_SUBJECTS, filled)
  const subjects = await start(`${options.subjects} subjects in the window`, ALL_SUBJECTS)
  const tokens = await start(`after ${options.tokens} tokens`, '10/1m')
  await tellMemory('idle', [few, keys, revocations])
  await fill(subjects, Number(options.subjects))
  await fill(tokens, Number(options.tokens), Number(options['least-seconds']))
  const sides = [few, keys, revocations, subjects, tokens]
  await alternate(sides, rounds)
  const base = figures(few, 'cost')
  printLine(['processor µs a token', 'median', 'of all rounds', 'times few', 'of all rounds'])
  for (const side of sides) {
    const costs = figures(side, 'cost')
    const ratios = ratiosOf(base, costs)
    printLine([
      side.name,
      median(costs).toFixed(1),
      spread(costs),
      median(ratios).toFixed(3),
      spread(ratios, 2),
    ])
    // As fast as with a few: no dearer in the middle than those were in some round.
    if (median(costs) > Math.max(...base)) process.exitCode = 1
  }
  await tellMemory('after the load', sides)
}

async function start(name: string, subjectLimit: string, fill?: Fill): Promise<Side> {
  const DATA_DIR = join(folder, name.replaceAll(' ', '-'))
  const more = { RATE_LIMIT_SUBJECT: subjectLimit }
  const { env, secretKey, verify } = await install(DATA_DIR, more, fill === undefined ? {} : { fill })
  const server = await startServer(env, MAIN)
  running.push(server)
  const body = JSON.stringify({ userId: `user-${NUMBER}`, name: 'Alice' })
  const authorizations = [`Bearer ${secretKey}`]
  return {
    name,
    server,
    load: { path: '/auth/token', authorizations, body, connections: CONNECTIONS, seconds },
    check: (answer) => verify(JSON.parse(answer).token),
    checksAll: true,
    rounds: [],
  }
}

/** Has so many tokens or more minted, each for a subject of its own, for so long or longer, and tells of the memory on the way. */
async function fill({ name, server, load }: Side, count: number, leastSeconds = 0): Promise<void> {
  let made = 0
  let toldAt = 0
  let asked = 0
  while (made < count || asked < leastSeconds) {
    made += (await ask(server.url, { ...load, seconds: FILL_SECONDS }, false)).count
    asked += FILL_SECONDS
    if (made - toldAt < count / 4 && made < count) continue
    toldAt = made
    const { residentMegabytes } = await server.settledMemory()
    printLine([name, `${made} tokens`, `${residentMegabytes.toFixed(1)} MB resident`])
  }
}

async function tellMemory(when: string, sides: readonly Side[]): Promise<void> {
  for (const { name, server } of sides) {
    const { residentMegabytes, highestMegabytes } = await server.settledMemory()
    const columns = [residentMegabytes, highestMegabytes].map((mb) => `${mb.toFixed(1)} MB`)
    printLine([`${when}: ${name}`, 'resident', columns[0] ?? '', 'highest', columns[1] ?? ''])
  }
}
