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
