import { figures, measure, type Side } from './rounds.ts'
import { median } from './table.ts'

/** So many that one which waits for an answer keeps few others from asking. */
const CONNECTIONS = 256
const RUNS = 3
/** So long that the connections, which are all opened in the first moment, are far fewer than a hundredth of the answers. */
const SECONDS = 20

/** How long answers take where a server has twice the room that it needs. */
export interface Calm {
  readonly name: string
  /** Answers a second. */
  readonly rate: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Asks for half of the most that a side has answered, at moments that know nothing of each other. */
export async function atHalf(side: Side): Promise<Calm> {
  const rate = median(figures(side, 'rate')) / 2
  const load = { ...side.load, connections: CONNECTIONS, seconds: SECONDS, rate }
  const calm: Side = { ...side, load, rounds: [] }
  for (let run = 0; run < RUNS; run += 1) calm.rounds.push(await measure(calm, side.checksAll))
  const middle = (which: 'rate' | 'p50Ms' | 'p99Ms') => median(figures(calm, which))
  return { name: side.name, rate: middle('rate'), p50Ms: middle('p50Ms'), p99Ms: middle('p99Ms') }
}
