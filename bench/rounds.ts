import { type Answered, askForAWhile, type Load } from './load.ts'
import type { BenchServer } from './server.ts'

/** One of two that are compared. */
export interface Side {
  readonly server: BenchServer
  readonly load: Omit<Load, 'url'>
  /** By round: answers a second, and the server's processor time for each in microseconds. */
  readonly rates: number[]
  readonly costs: number[]
}

/**
 * Asks one after the other, and the other one first in the next round, so that whatever else the machine does meets both.
 * The first round warms both up and is not counted.
 */
export async function alternate(sides: readonly [Side, Side], rounds: number): Promise<void> {
  for (let round = 0; round <= rounds; round += 1) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      const { answered, spentMs } = await measure(side)
      if (round === 0) continue
      side.rates.push(answered.count / answered.seconds)
      side.costs.push((spentMs * 1000) / answered.count)
    }
  }
}

async function measure({ server, load }: Side): Promise<{ answered: Answered; spentMs: number }> {
  const before = await server.processorMs()
  const answered = await askForAWhile({ ...load, url: server.url })
  return { answered, spentMs: (await server.processorMs()) - before }
}
