import { distinctIn, readSketch } from '../domain/distinct.ts'
import { ISSUED } from '../journal/journal.ts'
import type { MinuteRange, Store, UsageCount } from '../store/store.ts'
import { STEPS, type Step } from './span.ts'

/** More sums than one answer has: those of the busiest keys come first. */
export const MOST_SUMS = 1_000

/** What is asked: whole steps, as `wholeSteps` gives them. */
export interface UsageQuestion extends MinuteRange {
  readonly environmentId: string
  /** Of this key alone. */
  readonly keyId?: string | undefined
  readonly step: Step
}

/** One step of time. */
export interface UsagePoint {
  /** Its first one, in unix minutes. */
  readonly minute: number
  readonly issued: number
  readonly refused: number
  /** How many subjects had a token, within about 2 %; known by day, and for a whole environment. */
  readonly subjects: number | undefined
}

/** How often one thing happened to one key in all of the time. */
export type UsageSum = Pick<UsageCount, 'keyId' | 'format' | 'outcome' | 'count'>

export interface UsageReport {
  /** Every step, in the order of time. */
  readonly points: readonly UsagePoint[]
  /** The largest first. */
  readonly sums: readonly UsageSum[]
  /** How many more sums there are. */
  readonly sumsLeftOut: number
}

/** What the database tells of an environment's usage, over all processes. */
export async function reportUsage(
  store: Pick<Store, 'usage'>,
  question: UsageQuestion,
): Promise<UsageReport> {
  const { environmentId, keyId, from, to, step } = question
  const { minutes, grain } = STEPS[step]
  const points = Array.from({ length: (to - from) / minutes }, () => ({ issued: 0, refused: 0 }))
  const sums = new Map<string, UsageSum>()
  await store.usage.read({ environmentId, from, to, grain }, (counts) => {
    for (const one of counts) {
      if (keyId !== undefined && one.keyId !== keyId) continue
      const point = points[Math.floor((one.minute - from) / minutes)]
      if (point !== undefined) point[one.outcome === ISSUED ? 'issued' : 'refused'] += one.count
      const name = `${one.keyId} ${one.format} ${one.outcome}`
      const count = (sums.get(name)?.count ?? 0) + one.count
      sums.set(name, { keyId: one.keyId, format: one.format, outcome: one.outcome, count })
    }
  })
  const isToldByDay = step === 'day' && keyId === undefined
  const subjects = isToldByDay ? await subjectsByDay(store, question) : undefined
  const ordered = [...sums.values()].sort((one, other) => other.count - one.count || compare(one, other))
  return {
    points: points.map((point, index) => {
      const minute = from + index * minutes
      return { minute, ...point, subjects: subjects && (subjects.get(minute / STEPS.day.minutes) ?? 0) }
    }),
    sums: ordered.slice(0, MOST_SUMS),
    sumsLeftOut: Math.max(0, ordered.length - MOST_SUMS),
  }
}

/** A report for programs, with unix seconds as everywhere in the admin API. */
export function showUsage({ step, from, to }: UsageQuestion, { points, ...sums }: UsageReport) {
  return {
    step,
    from: from * 60,
    to: to * 60,
    points: points.map(({ minute, subjects, ...counts }) => ({
      at: minute * 60,
      ...counts,
      subjects: subjects ?? null,
    })),
    ...sums,
  }
}

async function subjectsByDay(
  store: Pick<Store, 'usage'>,
  { environmentId, from, to }: UsageQuestion,
): Promise<ReadonlyMap<number, number>> {
  const days = { from: from / STEPS.day.minutes, to: to / STEPS.day.minutes }
  const sketches = await store.usage.subjects({ environmentId, ...days })
  return new Map(sketches.map(({ day, sketch }) => [day, distinctIn(readSketch(sketch))]))
}

// So that the same question has the same answer.
function compare(one: UsageSum, other: UsageSum): number {
  const [a, b] = [one, other].map(({ keyId, format, outcome }) => `${keyId} ${format} ${outcome}`)
  return (a ?? '') < (b ?? '') ? -1 : 1
}
