import type { TestContext } from 'node:test'
import { type Seams, systemSeams } from '../../src/seams.ts'

/** Seams whose clocks stand still until they are moved. Chance is real. */
export interface DrivenSeams extends Seams {
  /** Moves both clocks. */
  advance(ms: number): void
}

/** 2026-11-22T12:00:00Z: where every driven clock begins. */
export const START_MS = Date.UTC(2026, 10, 22, 12)

export function drivenSeams(): DrivenSeams {
  let elapsedMs = 0
  return {
    now: () => START_MS + elapsedMs,
    monotonic: () => elapsedMs,
    random: systemSeams.random,
    advance(ms) {
      elapsedMs += ms
    },
  }
}

/**
 * Chance that can be repeated: the test says its seed, and takes the one in the variable SEED if there is one.
 *
 * @param seed for a test that must come to the same every time
 * @returns gives a whole number from 0 up to, not including, `below` (mulberry32)
 */
export function seededChance(
  t: TestContext,
  seed = Math.floor(Math.random() * 2 ** 31),
): (below: number) => number {
  let state = Number(process.env.SEED ?? seed)
  t.diagnostic(`SEED=${state}`)
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
