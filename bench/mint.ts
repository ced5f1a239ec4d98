// Measures the mint beside what a user would pick instead, and beside the limit: `npm run bench`. It writes results.md.
// With --quick it is what CI prints: fewer contestants and rounds, nothing judged but that every answer was right.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Arena, alone, NAMES, type Name, PEERS } from './contestants.ts'
import { atRate, type Calm } from './half-load.ts'
import { loadProgram, WrongAnswer } from './load.ts'
import { installPeers } from './peers.ts'
import { judgementOf, linesOf, writeResults } from './results.ts'
import { BRIEF, figures, measure, type Rounds, THOROUGH, warm } from './rounds.ts'
import { median, printLine } from './table.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    connections: { type: 'string', default: '64' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
  },
})
const { quick } = options
const rounds = Number(options.rounds ?? (quick ? 2 : 5))

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
  connections: Number(options.connections),
  seconds: Number(options.seconds ?? (quick ? 1 : 2)),
}
try {
  await bench()
} catch (error) {
  // A registry that cannot be reached, or a machine that is too busy, says nothing about Jeton.
  if (!quick || error instanceof WrongAnswer) throw error
  printLine([`Nothing was measured: ${error}`])
} finally {
  await rm(folder, { recursive: true })
}

async function bench(): Promise<void> {
  const found = await inTurns(await namesToMeasure())
  for (const line of linesOf(found)) printLine(line)
  if (quick) return
  const judgement = judgementOf(found, await calmOf(found))
  for (const { promise, found, isKept } of judgement)
    printLine([`${promise}: ${isKept === undefined ? '' : isKept ? 'kept, ' : 'missed, '}${found}`])
  if (judgement.some(({ isKept }) => isKept === false)) process.exitCode = 1
  if (options.only === undefined) await writeResults(found, judgement, { ...arena, rounds })
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

// Each in a process that is started for one round and has its core alone: those that take turns on a core disturb each
// other by a tenth, whoever rests among others has forgotten what it had compiled, and no process is like the next one. In
// the other order in the next round, so that whatever else the machine does meets all.
async function inTurns(names: readonly Name[]): Promise<Map<Name, Rounds>> {
  const found = new Map<Name, Rounds>(names.map((name) => [name, { name: NAMES[name], rounds: [] }]))
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const measured = await alone(name, arena, async (side) => {
        await warm(side, quick ? BRIEF : THOROUGH)
        return await measure(side, side.checksAll)
      })
      found.get(name)?.rounds.push(measured)
    }
  }
  return found
}

async function calmOf(found: ReadonlyMap<Name, Rounds>): Promise<Calm[]> {
  const calm: Calm[] = []
  for (const name of CALM) {
    const highest = found.get(name)
    if (highest === undefined) continue
    const asked = median(figures(highest, 'rate')) / 2
    calm.push(
      await alone(name, arena, async (side) => {
        await warm(side)
        return await atRate(side, asked)
      }),
    )
  }
  return calm
}
