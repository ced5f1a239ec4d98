import { type Answered, ask, type Load } from './load.ts'
import type { BenchServer } from './server.ts'

/** What the rounds of one came to. */
export interface Rounds {
  readonly name: string
  readonly rounds: Measured[]
}

/** One of several that are compared. */
export interface Side extends Rounds {
  readonly server: BenchServer
  readonly load: Load
  /** Looks at an answer of every kind that there is. @throws WrongAnswer */
  readonly check: (body: string) => void
  /** Whether every single answer is looked at: not for those that answer the same to all. */
  readonly checksAll: boolean
}

/** What a round came to. */
export interface Measured {
  /** Answers a second. */
  readonly rate: number
  /** The server's processor time for an answer, user and system, in microseconds. */
  readonly cost: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** What a server answers before anything is counted. */
export interface WarmUp {
  readonly answers: number
  /** It ends after as many rounds, whatever was answered. */
  readonly rounds: number
}

/**
 * As many answers until a server's code is compiled: in its first two seconds one takes up to twice as long, and after
 * 60,000 answers still some hundredths longer than later.
 */
export const THOROUGH: WarmUp = { answers: 100_000, rounds: 8 }
/** For whoever has no time. */
export const BRIEF: WarmUp = { answers: 10_000, rounds: 3 }

/**
 * Asks servers that run beside each other one after another, and in the other order in the next round, so that whatever
 * else the machine does meets all. Before that it warms them up, which is not counted.
 *
 * @throws WrongAnswer
 */
export async function alternate(sides: readonly Side[], rounds: number): Promise<void> {
  for (const side of sides) await warm(side)
  for (let round = 1; round <= rounds; round += 1) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      side.rounds.push(await measure(side, side.checksAll))
    }
  }
}

/** Asks for what is not counted. @throws WrongAnswer */
export async function warm(side: Side, { answers, rounds } = THOROUGH): Promise<void> {
  let answered = 0
  for (let round = 0; round < rounds && answered < answers; round += 1) {
    answered += (await measure(side, true)).rate * side.load.seconds
  }
}

/** Asks once. */
export async function measure({ server, load, check }: Side, keepBodies: boolean): Promise<Measured> {
  const before = await server.processorMs()
  const answered = await ask(server.url, load, keepBodies)
  const spentMs = (await server.processorMs()) - before
  for (const body of answered.bodies) check(body)
  return measuredOf(answered, spentMs)
}

function measuredOf({ count, seconds, p50Ms, p99Ms }: Answered, spentMs: number): Measured {
  return { rate: count / seconds, cost: (spentMs * 1000) / count, p50Ms, p99Ms }
}

/** One of the figures of a side, round by round. */
export function figures({ rounds }: Rounds, which: keyof Measured): number[] {
  return rounds.map((measured) => measured[which])
}
