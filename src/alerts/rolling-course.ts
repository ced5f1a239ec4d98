import { CALM_MINUTES, type Course, HOUR_MINUTES } from './spike.ts'

/** How far back a judgement looks: the calm minutes, those that may still grow, and the hour before the oldest. */
export const LOOK_BACK_MINUTES = HOUR_MINUTES + CALM_MINUTES + 2

/** A power of two beyond that. */
const SLOTS = 128

/** The last two hours of a course, in a place that does not grow. */
export interface RollingCourse {
  readonly course: Course
  /** Says what was issued in a minute, in place of what was said before. */
  set(minute: number, issued: number): void
  /** More was issued in it. */
  add(minute: number, issued: number): void
}

export function createRollingCourse(): RollingCourse {
  // A slot counts only for the minute that it was written for, so that nothing has to be cleared.
  const minutes = new Float64Array(SLOTS).fill(-1)
  const counts = new Float64Array(SLOTS)

  return { course, set, add: (minute, issued) => set(minute, course(minute) + issued) }

  function set(minute: number, issued: number): void {
    minutes[minute % SLOTS] = minute
    counts[minute % SLOTS] = issued
  }

  function course(minute: number): number {
    return minute >= 0 && minutes[minute % SLOTS] === minute ? (counts[minute % SLOTS] ?? 0) : 0
  }
}
