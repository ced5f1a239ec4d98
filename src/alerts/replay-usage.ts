import type { Store } from '../store/store.ts'
import { createReplay, type ReplayedAlert } from './replay.ts'
import { LOOK_BACK_MINUTES } from './rolling-course.ts'

/** Read at once: with ten thousand keys that is 600,000 counts, and not a week's. */
const MINUTES_AT_ONCE = 60

/** Which minutes are replayed, in unix minutes: from `from` on, before `to`. */
export interface ReplayedTime {
  readonly environmentId: string | undefined
  readonly from: number
  readonly to: number
}

/** Goes through what usage tells, of one environment or of all, and through the hour before it as history. */
export async function replayUsage(
  { usage }: Pick<Store, 'usage'>,
  { environmentId, from, to }: ReplayedTime,
): Promise<readonly ReplayedAlert[]> {
  const replay = createReplay(from)
  for (let first = from - LOOK_BACK_MINUTES; first < to; first += MINUTES_AT_ONCE) {
    const last = Math.min(first + MINUTES_AT_ONCE, to)
    for (const one of await usage.minutes({ from: first, to: last, environmentId })) replay.take(one)
  }
  return replay.end()
}
