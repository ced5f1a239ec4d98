import { JetonError } from '../domain/errors.ts'
import type { MinuteRange, UsageGrain } from '../store/store.ts'

/** How long the counts of single minutes are kept, in days. Those of hours are kept for USAGE_KEEP_DAYS. */
export const MINUTES_KEPT_DAYS = 8

/** More points than one answer has. */
export const MOST_POINTS = 1_500

/** What usage may be asked by: how long a step is in minutes, what is read for it, and how many there are unless asked. */
export const STEPS = {
  minute: { minutes: 1, grain: 'minute', usual: 60 },
  hour: { minutes: 60, grain: 'hour', usual: 24 },
  day: { minutes: 1_440, grain: 'hour', usual: 30 },
} as const satisfies Record<string, { minutes: number; grain: UsageGrain; usual: number }>

export type Step = keyof typeof STEPS
export const STEP_NAMES: readonly Step[] = ['minute', 'hour', 'day']

const MINUTE_MS = 60_000
const DAY_MINUTES = 1_440

/** What is asked for, in unix milliseconds. */
export interface AskedSpan {
  readonly from: number | undefined
  readonly to: number | undefined
  readonly step: Step
}

/**
 * The whole steps (UTC) that a span touches. Without an end it ends now, without a beginning it has a usual length.
 *
 * @param now unix milliseconds
 * @throws JetonError `body_invalid` for a span that cannot be answered
 */
export function wholeSteps({ from, to, step }: AskedSpan, now: number): MinuteRange {
  const { minutes, grain, usual } = STEPS[step]
  const until = Math.ceil((to ?? now + 1) / MINUTE_MS / minutes) * minutes
  const since =
    from === undefined ? until - usual * minutes : Math.floor(from / MINUTE_MS / minutes) * minutes
  if (since >= until || (from !== undefined && from >= (to ?? now + 1))) {
    throw new JetonError('body_invalid', 'The span must begin before it ends, and in the past.')
  }
  if ((until - since) / minutes > MOST_POINTS) {
    throw new JetonError(
      'body_invalid',
      `The span has more than ${MOST_POINTS} steps: ask for less at once, or by a longer step.`,
    )
  }
  if (grain === 'minute' && until <= now / MINUTE_MS - MINUTES_KEPT_DAYS * DAY_MINUTES) {
    throw new JetonError(
      'body_invalid',
      `Single minutes are kept for ${MINUTES_KEPT_DAYS} days: ask for that time by hour or by day.`,
    )
  }
  return { from: since, to: until }
}
