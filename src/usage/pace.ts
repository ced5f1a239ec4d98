import { setTimeout as sleep } from 'node:timers/promises'
import type { Seams } from '../seams.ts'

/** How long work goes on at least before it rests, in milliseconds: a token that comes meanwhile waits for so long. */
const LEAST_MS = 0.25
/** A rest is as short as a timer can be, and longer while the event loop has much else to do. */
const REST_MS = 1
/** How much of the time in between is had for the work: a seventh, of which counting needs less than minting makes. */
const SHARE = 0.15

/** Gives work that nobody waits for a part of the event loop: a small one, and one that a busy loop does not take away. */
export interface Pace {
  /** To be called every few microseconds of the work; a promise when it is time to rest. */
  step(): Promise<void> | undefined
  /** To be called when the work goes on behind something else that it waited for. */
  resume(): void
  /** From now on there is nothing that the work could be in the way of. */
  hurry(): void
}

export function createPace({ monotonic }: Pick<Seams, 'monotonic'>): Pace {
  let lastStep = monotonic()
  let until = lastStep + LEAST_MS
  let isHurried = false
  return {
    step() {
      lastStep = monotonic()
      if (lastStep < until || isHurried) return undefined
      return sleep(REST_MS).then(resume)
    },
    resume,
    hurry() {
      isHurried = true
    },
  }

  function resume(): void {
    const now = monotonic()
    until = now + Math.max(LEAST_MS, (now - lastStep) * SHARE)
    lastStep = now
  }
}
