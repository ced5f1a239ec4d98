import { coreTime } from './cores.ts'
import { figures, measure, type Side } from './rounds.ts'
import { median } from './table.ts'

/** So many that a request finds a free one, if the server is not far behind. */
const CONNECTIONS = 64
const RUNS = 3
/** So long that what comes every ten seconds, as a full collection may, is in most runs. */
const SECONDS = 20

/** What was compiled at the highest load meets other paths here. */
const WARM_UP_SECONDS = 5

/** How long answers take where a server has twice the room that it needs. */
export interface Calm {
  readonly name: string
  /** Answers a second. */
  readonly rate: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** The p99 of each run. */
  readonly p99sMs: readonly number[]
  /** What part of the cores' time the host gave to others meanwhile, of 1: what nobody here can answer faster than. */
  readonly stolen: number
}

/** Asks a side that is warmed up for so many a second, at moments that know nothing of each other. @throws WrongAnswer */
export async function atRate(side: Side, rate: number): Promise<Calm> {
  const load = { ...side.load, connections: CONNECTIONS, seconds: SECONDS, rate }
  const calm: Side = { ...side, load, rounds: [] }
  await measure({ ...side, load: { ...load, seconds: WARM_UP_SECONDS } }, side.checksAll)
  const before = coreTime()
  for (let run = 0; run < RUNS; run += 1) calm.rounds.push(await measure(calm, side.checksAll))
  const after = coreTime()
  const stolen = (after.stolen - before.stolen) / Math.max(1, after.all - before.all)
  const middle = (which: 'rate' | 'p50Ms') => median(figures(calm, which))
  const p99sMs = figures(calm, 'p99Ms')
  return {
    name: side.name,
    rate: middle('rate'),
    p50Ms: middle('p50Ms'),
    p99Ms: median(p99sMs),
    p99sMs,
    stolen,
  }
}
