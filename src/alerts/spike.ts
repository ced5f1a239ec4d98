/** A minute rings from so many tokens on … */
export const LEAST_ISSUED = 50
/** … if they are so many times the median minute of the hour before. */
export const TIMES_MEDIAN = 4
/** How many minutes before it a minute is compared with. */
export const HOUR_MINUTES = 60
/** So many minutes in a row must be calm before an alert is closed. */
export const CALM_MINUTES = 5
/** A minute is calm below this part of what it took to ring … */
const CALM_PART = 3 / 4
/** … and of the highest minute since then. */
const PEAK_PART = 1 / 2
/** A level that has stayed for so long is no spike any more, once it rings beside its own last hour no longer. */
export const NEW_LEVEL_MINUTES = 120
/** When so many keys of one environment ring, further ones are told of by one alert for the whole environment. */
export const MOST_KEYS = 10
/** Where the id of a key stands otherwise: the environment as a whole. */
export const WHOLE = ''

/** What was issued in a minute (unix minutes); 0 where nothing was. */
export type Course = (minute: number) => number

/** A minute that rang. */
export interface Spike {
  readonly minute: number
  /** What had been issued in it when it rang. */
  readonly issued: number
  /** Of the hour before. */
  readonly median: number
}

/** Why an alert was closed: it is calm again, or what was a spike has become usual. */
export type Ending = 'calm' | 'new_level'

/** A key, or an environment as a whole, as a look finds it. */
export interface Standing {
  readonly course: Course
  /** What rang and was not closed yet. */
  readonly open?: Spike | undefined
  /** Up to which minute the last one was closed. */
  readonly closedMinute?: number | undefined
}

/** What a look comes to. `keyId` is WHOLE for the environment as a whole. */
export type Verdict =
  | { readonly kind: 'raised'; readonly keyId: string; readonly spike: Spike }
  | { readonly kind: 'closed'; readonly keyId: string; readonly minute: number; readonly why: Ending }

/** What a look at the keys of one environment comes to. */
export interface KeysVerdict {
  readonly verdicts: readonly Verdict[]
  /** How the environment as a whole is to be judged then. */
  readonly rest: Rest
}

/**
 * `judged`: no key of it rings, so that it is compared like a key. `covered`: what it would ring for has rung. `crowded`:
 * more keys ring than are told of one by one, so that it stands for them.
 */
export type Rest = 'judged' | 'covered' | 'crowded'

/**
 * Judges the keys of one environment at a moment of the minute `current`. That one is not over, and the one before may
 * still grow, since counts come in batches; both ring as soon as they are high enough, and only older ones are calm.
 */
export function judgeKeys(current: number, keys: ReadonlyMap<string, Standing>): KeysVerdict {
  const verdicts: Verdict[] = []
  let open = 0
  let isCrowded = false
  for (const [keyId, standing] of keys) {
    const closed = standing.open && closing(current, keyId, standing)
    if (closed !== undefined) verdicts.push(closed)
    else if (standing.open !== undefined) open += 1
  }
  for (const [keyId, standing] of keys) {
    const spike = standing.open === undefined ? spikeIn(standing, [current - 1, current], current) : undefined
    if (spike === undefined) continue
    if (open >= MOST_KEYS) isCrowded = true
    else {
      open += 1
      verdicts.push({ kind: 'raised', keyId, spike })
    }
  }
  return { verdicts, rest: isCrowded ? 'crowded' : open > 0 ? 'covered' : 'judged' }
}

/**
 * Judges an environment as a whole: many keys may spike together while none of them does alone. It is one minute behind
 * its keys, so that a key that is about to ring does so first, and the environment then has nothing to add.
 */
export function judgeWhole(current: number, standing: Standing, rest: Rest): Verdict | undefined {
  if (standing.open !== undefined) {
    return rest === 'crowded' ? undefined : closing(current, WHOLE, standing)
  }
  if (rest === 'covered') return undefined
  if (rest === 'judged') {
    const spike = spikeIn(standing, [current - 1], current)
    return spike && { kind: 'raised', keyId: WHOLE, spike }
  }
  const { course } = standing
  const spike = { minute: current, issued: course(current), median: medianBefore(course, current) }
  return { kind: 'raised', keyId: WHOLE, spike }
}

/** The median minute of the hour before `minute`. A minute without tokens counts as one. */
export function medianBefore(course: Course, minute: number): number {
  const counts = new Float64Array(HOUR_MINUTES)
  for (let index = 0; index < HOUR_MINUTES; index += 1) counts[index] = course(minute - 1 - index)
  counts.sort()
  const middle = HOUR_MINUTES / 2
  return ((counts[middle - 1] ?? 0) + (counts[middle] ?? 0)) / 2
}

function spikeIn(
  { course, closedMinute }: Standing,
  minutes: readonly number[],
  current: number,
): Spike | undefined {
  // An end in the future was written by a clock that has gone back since.
  const last = closedMinute === undefined || closedMinute > current ? Number.NEGATIVE_INFINITY : closedMinute
  for (const minute of minutes) {
    const spike = minute > last ? spikeAt(course, minute) : undefined
    if (spike !== undefined) return spike
  }
  return undefined
}

function spikeAt(course: Course, minute: number): Spike | undefined {
  const issued = course(minute)
  if (issued < LEAST_ISSUED || isUsual(course, minute, issued)) return undefined
  const median = medianBefore(course, minute)
  return issued >= leastThatRings(median) ? { minute, issued, median } : undefined
}

// Most busy keys are steady, and that can be told without sorting: when more than half of the hour lies above a quarter of
// this minute, the median does too.
function isUsual(course: Course, minute: number, issued: number): boolean {
  let above = 0
  for (let at = minute - 1; at >= minute - HOUR_MINUTES && above <= HOUR_MINUTES / 2; at -= 1) {
    if (course(at) * TIMES_MEDIAN > issued) above += 1
  }
  return above > HOUR_MINUTES / 2
}

function leastThatRings(median: number): number {
  return Math.max(LEAST_ISSUED, TIMES_MEDIAN * median)
}

function closing(current: number, keyId: string, { course, open }: Standing): Verdict | undefined {
  const minute = current - 2
  const why = open && endingAt(course, open, minute)
  return why && { kind: 'closed', keyId, minute, why }
}

// What it took to ring stays what it was: otherwise a long spike would become its own measure. Three quarters of it let an
// alert be closed where the day has begun meanwhile; half of the peak keeps one that barely rang from going up and down.
function endingAt(course: Course, spike: Spike, minute: number): Ending | undefined {
  const first = minute - CALM_MINUTES + 1
  // One from far in the future was raised by a clock that has gone back since; it ends like any other.
  if (spike.minute >= first && spike.minute <= minute + HOUR_MINUTES) return undefined
  const limit = Math.min(
    CALM_PART * leastThatRings(spike.median),
    PEAK_PART * peakSince(course, spike, minute),
  )
  // The two that may still grow do not make it calm, but they can show that it is not.
  const last = Array.from({ length: CALM_MINUTES + 2 }, (_, index) => first + index)
  if (last.every((at) => course(at) < limit)) return 'calm'
  const hasStayed = minute - spike.minute >= NEW_LEVEL_MINUTES
  return hasStayed && last.every((at) => spikeAt(course, at) === undefined) ? 'new_level' : undefined
}

// Of the last hour alone: what is further back says little about where it stands now.
function peakSince(course: Course, { minute: since, issued }: Spike, minute: number): number {
  let peak = issued
  for (let at = Math.max(since, minute - HOUR_MINUTES); at <= minute; at += 1)
    peak = Math.max(peak, course(at))
  return peak
}
