import { setImmediate as turn } from 'node:timers/promises'
import type { CourseReads } from '../store/store.ts'
import { createRollingCourse, LOOK_BACK_MINUTES, type RollingCourse } from './rolling-course.ts'
import { WHOLE } from './spike.ts'

/** What one statement sums up: as many counts take some milliseconds, in which an embedded database holds the process. */
const COUNTS_AT_ONCE = 1_000
const MOST_MINUTES_AT_ONCE = 70
/** Minutes that may have grown since they were read. */
const MAY_GROW = 2

/** What was issued to keys and environments in their last hours, as far as somebody asks. */
export interface Courses {
  /**
   * The course of a key, or with WHOLE of an environment, up to the minute `current`.
   *
   * @param counts about how many counts a minute has
   */
  load(environmentId: string, keyId: string, current: number, counts: number): Promise<RollingCourse>
  /** The highest minute from one on, up to and with another one. */
  peak(environmentId: string, keyId: string, from: number, to: number): Promise<number>
  /** Forgets what nobody has asked for since the minute before `current`. */
  forget(current: number): void
}

interface Asked {
  readonly environmentId: string
  readonly keyId: string
  readonly from: number
  readonly to: number
  readonly counts: number
}

interface Known {
  readonly rolling: RollingCourse
  upTo: number
}

/**
 * Reads courses and keeps those that are asked for again: what is busy now is so a minute later, too, and then only its
 * last minutes are read.
 */
export function createCourses({ courses }: { readonly courses: CourseReads }): Courses {
  const known = new Map<string, Known>()

  return {
    async load(environmentId, keyId, current, counts) {
      const name = `${environmentId} ${keyId}`
      const there = known.get(name)
      // A clock that has gone back finds minutes that it had not read as they are now.
      const isBehind = there === undefined || there.upTo > current
      const course = isBehind ? { rolling: createRollingCourse(), upTo: current - LOOK_BACK_MINUTES } : there
      known.set(name, course)
      if (course.upTo !== current) {
        const from = Math.max(current - LOOK_BACK_MINUTES, course.upTo - MAY_GROW)
        await read({ environmentId, keyId, from, to: current, counts }, course.rolling.set)
        course.upTo = current
      }
      return course.rolling
    },
    async peak(environmentId, keyId, from, to) {
      let peak = 0
      const counts = keyId === WHOLE ? COUNTS_AT_ONCE : 1
      await read({ environmentId, keyId, from, to, counts }, (_, issued) => {
        peak = Math.max(peak, issued)
      })
      return peak
    },
    forget(current) {
      for (const [name, { upTo }] of known) if (upTo < current - 1) known.delete(name)
    },
  }

  async function read(
    { environmentId, keyId, from, to, counts }: Asked,
    take: (minute: number, issued: number) => void,
  ): Promise<void> {
    const atOnce = Math.min(MOST_MINUTES_AT_ONCE, Math.max(1, Math.floor(COUNTS_AT_ONCE / counts)))
    for (let first = from; first <= to; first += atOnce) {
      const minutes = Array.from({ length: Math.min(atOnce, to - first + 1) }, (_, index) => first + index)
      const asked = { environmentId, keyId: keyId === WHOLE ? undefined : keyId, minutes }
      for (const { minute, issued } of await courses.ofMinutes(asked)) take(minute, issued)
      await turn()
    }
  }
}
