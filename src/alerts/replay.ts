import { createRollingCourse, type RollingCourse } from './rolling-course.ts'
import {
  type Ending,
  HOUR_MINUTES,
  judgeKeys,
  judgeWhole,
  LEAST_ISSUED,
  type Spike,
  type Verdict,
  WHOLE,
} from './spike.ts'

/** What was issued to one key in one minute (unix minutes), or a part of it. */
export interface RecordedMinute {
  readonly environmentId: string
  readonly keyId: string
  readonly minute: number
  readonly issued: number
}

/** An alert that would have been raised. */
export interface ReplayedAlert extends Spike {
  readonly environmentId: string
  /** WHOLE for the environment as a whole. */
  readonly keyId: string
  /** The highest minute while it was open. */
  readonly peak: number
  /** `undefined` when it is open at the end of the record. */
  readonly closedMinute: number | undefined
  readonly why: Ending | undefined
}

/** Goes through recorded minutes as the server would have, with a look at the end of each. */
export interface Replay {
  /** @throws RangeError when a minute comes long behind a later one */
  take(recorded: RecordedMinute): void
  /** What would have rung, in the order of its beginning. */
  end(): readonly ReplayedAlert[]
}

type Alert = { -readonly [Member in keyof ReplayedAlert]: ReplayedAlert[Member] }

/** A key or a whole environment, as far as it was replayed. */
interface Track extends RollingCourse {
  open: Alert | undefined
  closedMinute: number | undefined
}

interface EnvironmentTrack {
  readonly id: string
  readonly whole: Track
  readonly keys: Map<string, Track>
  lastMinute: number
}

/** @param from the first minute that is judged; those before are history alone */
export function createReplay(from: number): Replay {
  const environments = new Map<string, EnvironmentTrack>()
  const alerts: Alert[] = []
  let current: number | undefined

  return {
    take({ environmentId, keyId, minute, issued }) {
      if (current !== undefined && minute < current - HOUR_MINUTES) {
        throw new RangeError('Minutes must come in their order')
      }
      for (let at = current ?? minute; at < minute; at += 1) if (!lookAt(at)) break
      // One that comes late is counted where it belongs, and looked at no more.
      current = Math.max(minute, current ?? minute)
      const environment = environments.get(environmentId) ?? newEnvironment(environmentId, from)
      const key = environment.keys.get(keyId) ?? newTrack(from)
      environments.set(environmentId, environment)
      environment.keys.set(keyId, key)
      environment.lastMinute = current
      environment.whole.add(minute, issued)
      key.add(minute, issued)
    },
    end() {
      if (current !== undefined) lookAt(current)
      return alerts
    },
  }

  /** @returns whether there is anything to look at a minute later, when nothing more is issued */
  function lookAt(minute: number): boolean {
    let isLive = false
    for (const environment of environments.values()) {
      if (minute >= from) judge(environment, minute)
      isLive ||= environment.lastMinute >= minute - 1 || isOpen(environment)
    }
    return isLive
  }

  function judge(environment: EnvironmentTrack, minute: number): void {
    const { whole, keys } = environment
    const busy = [...keys].filter(([, track]) => isBusy(track, minute))
    if (busy.length === 0 && !isBusy(whole, minute)) return
    const { verdicts, rest } = judgeKeys(minute, new Map(busy))
    for (const verdict of verdicts) follow(environment, verdict)
    const verdict = judgeWhole(minute, whole, rest)
    if (verdict !== undefined) follow(environment, verdict)
    for (const { open, course } of [whole, ...busy.map(([, track]) => track)]) {
      if (open !== undefined) open.peak = Math.max(open.peak, course(minute))
    }
  }

  function follow({ id: environmentId, whole, keys }: EnvironmentTrack, verdict: Verdict): void {
    const { keyId } = verdict
    const track = keyId === WHOLE ? whole : keys.get(keyId)
    if (track === undefined) return
    if (verdict.kind === 'raised') {
      const { spike } = verdict
      track.open = {
        environmentId,
        keyId,
        ...spike,
        peak: spike.issued,
        closedMinute: undefined,
        why: undefined,
      }
      alerts.push(track.open)
    } else if (track.open !== undefined) {
      track.open.closedMinute = verdict.minute
      track.open.why = verdict.why
      track.closedMinute = verdict.minute
      track.open = undefined
    }
  }
}

function isBusy({ open, course }: Track, minute: number): boolean {
  return open !== undefined || course(minute) >= LEAST_ISSUED || course(minute - 1) >= LEAST_ISSUED
}

function isOpen({ whole, keys }: EnvironmentTrack): boolean {
  return whole.open !== undefined || keys.values().some(({ open }) => open !== undefined)
}

function newEnvironment(id: string, from: number): EnvironmentTrack {
  return { id, whole: newTrack(from), keys: new Map(), lastMinute: 0 }
}

// As if it had been closed just before, so that no earlier minute rings.
function newTrack(from: number): Track {
  return { ...createRollingCourse(), open: undefined, closedMinute: from - 1 }
}
