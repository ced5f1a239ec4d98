import type { RecordedMinute } from '../../src/alerts/replay.ts'

/** 2026-11-22T00:00:00Z in unix minutes: where every made course begins. */
export const FIRST_MINUTE = Date.UTC(2026, 10, 22) / 60_000
export const DAY_MINUTES = 1_440

/** Gives a whole number from 0 up to, not including, `below` (`seededChance`). */
export type Chance = (below: number) => number

/** How many tokens a minute there are in the mean, by the minute from the beginning. */
export type Shape = (minute: number) => number

/** A minute of a course around a mean, with about the noise that independent callers make: Poisson's variance. */
export function around(mean: number, chance: Chance): number {
  const uniform = () => (chance(2 ** 30) + 1) / 2 ** 30
  if (mean > 30) {
    // Twelve throws together are as good as a bell.
    let bell = -6
    for (let throws = 0; throws < 12; throws += 1) bell += uniform()
    return Math.max(0, Math.round(mean + bell * Math.sqrt(mean)))
  }
  const limit = Math.exp(-mean)
  let count = 0
  for (let product = uniform(); product > limit; product *= uniform()) count += 1
  return count
}

/** The minutes of one key, with noise. Those without a token are left out, as in the table of usage. */
export function courseOf(
  shape: Shape,
  minutes: number,
  chance: Chance,
  { environmentId = 'env_1', keyId = 'kid_1' } = {},
): RecordedMinute[] {
  return Array.from({ length: minutes }, (_, minute) => ({
    environmentId,
    keyId,
    minute: FIRST_MINUTE + minute,
    issued: around(shape(minute), chance),
  })).filter(({ issued }) => issued > 0)
}

/** From `low` at night to `high` at noon and back, as a day goes. */
export function wave(low: number, high: number): Shape {
  return (minute) => low + ((high - low) * (1 - Math.cos((2 * Math.PI * minute) / DAY_MINUTES))) / 2
}
