// Measures the mint beside what a user would pick instead, and beside the limit: `npm run bench`. It writes results.md.
// With --quick it is what CI prints: fewer contestants and rounds, nothing judged but that every answer was right.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Arena, type Name, PEERS, startAll } from './contestants.ts'
import { atHalf, type Calm } from './half-load.ts'
import { loadProgram, WrongAnswer } from './load.ts'
import { installPeers } from './peers.ts'
import { judgementOf, linesOf, writeResults } from './results.ts'
import { alternate, BRIEF, figures, type Side } from './rounds.ts'
import type { BenchServer } from './server.ts'
import { median, printLine } from './table.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    connections: { type: 'string', default: '64' },
    rounds: { type: 'string' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
})
const { quick } = options
const rounds = Number(options.rounds ?? (quick ? 3 : 7))

const ALL: readonly Name[] = [
  'http',
  'fastify',
  'express',
  'oidc',
  'oidcHs256',
  'bareMint',
  'hs256',
  'eddsa',
  'noJournal',
  'noLimits',
  'noLog',
  'noMetrics',
  'least',
  'leastEddsa',
]
const FEW: readonly Name[] = ['fastify', 'express', 'hs256', 'eddsa']
/** Who is asked for half of the most as well. */
const CALM: readonly Name[] = ['fastify', 'bareMint', 'hs256', 'eddsa', 'noJournal']

const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
const arena: Arena = {
  folder,
  running: [],
  connections: Number(options.connections),
  seconds: Number(options.seconds),
}
try {
  await bench()
} catch (error) {
  // A registry that cannot be reached, or a machine that is too busy, says nothing about Jeton.
  if (!quick || error instanceof WrongAnswer) throw error
  printLine([`Nothing was measured: ${error}`])
} finally {
  await stopAll()
  await rm(folder, { recursive: true })
}

async function bench(): Promise<void> {
  const wanted = await namesToMeasure()
  const sides = await startAll(wanted, arena)
  await alternate([...sides.values()], rounds, quick ? BRIEF : undefined)
  for (const line of linesOf(sides)) printLine(line)
  if (quick) return
  const calm = await calmOf(sides)
  const judgement = judgementOf(sides, calm)
  for (const { promise, found, isKept } of judgement)
    printLine([`${promise}: ${isKept === undefined ? '' : isKept ? 'kept, ' : 'missed, '}${found}`])
  if (judgement.some(({ isKept }) => isKept === false)) process.exitCode = 1
  if (options.only === undefined) await writeResults(sides, judgement, { ...arena, rounds })
}

async function namesToMeasure(): Promise<readonly Name[]> {
  const wanted = quick ? FEW : ALL.filter((name) => options.only?.split(',').includes(name) ?? true)
  try {
    if (loadProgram === 'autocannon' || wanted.some((name) => PEERS.has(name))) await installPeers()
    return wanted
  } catch (error) {
    if (!quick || loadProgram === 'autocannon') throw error
    printLine([`Measured without its peers: ${error}`])
    return wanted.filter((name) => !PEERS.has(name))
  }
}

// Each in a process that was started for it and has its core alone: one that rested among others for minutes has forgotten
// what it had compiled.
async function calmOf(sides: ReadonlyMap<Name, Side>): Promise<Calm[]> {
  const found: Calm[] = []
  for (const name of CALM) {
    const side = sides.get(name)
    if (side === undefined) continue
    await stopAll()
    const anew = { ...arena, folder: await mkdtemp(join(folder, 'calm-')) }
    const alone = (await startAll([name], anew)).get(name)
    if (alone === undefined) throw new Error(`${name} was not started`)
    await stopAll(alone.server)
    await alternate([alone], 0)
    found.push(await atHalf(alone, median(figures(side, 'rate')) / 2))
  }
  return found
}

async function stopAll(but?: BenchServer): Promise<void> {
  for (const server of arena.running) if (server !== but) await server.stop()
}
