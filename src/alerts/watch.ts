import { setImmediate as turn } from 'node:timers/promises'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { AlertRecord, Journal } from '../journal/journal.ts'
import type { Seams } from '../seams.ts'
import type { Alert, NewNotice, Store } from '../store/store.ts'
import { alertRecord, noticeOf } from './alert-record.ts'
import { createCourses } from './courses.ts'
import {
  judgeKeys,
  judgeWhole,
  LEAST_ISSUED,
  type Spike,
  type Standing,
  type Verdict,
  WHOLE,
} from './spike.ts'

const MINUTE_MS = 60_000
/** How far back an alert that was closed keeps its minutes from ringing again: as far as minutes ring. */
const CLOSED_SINCE_MINUTES = 2
/** Alerts that were closed longer ago are removed. */
const KEEP_MINUTES = 30 * 1_440
/** The highest minute of an alert is looked for no further back than this: an alert may stay open for long. */
const PEAK_MINUTES = 1_440

/** Of an environment that is not busy nobody has said how many keys it has. */
const MANY_COUNTS = 10_000

/** As much of a logger as is needed here. */
interface SpikeLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface SpikeWatchDeps {
  readonly store: Pick<Store, 'alerts' | 'courses'>
  readonly journal: Pick<Journal, 'alert'>
  readonly seams: Pick<Seams, 'now' | 'random'>
  readonly log: SpikeLog
  /** Whether somebody is to be sent a notice. */
  readonly notifies: boolean
}

/** Looks for spikes of issuance, in what all processes have issued. */
export interface SpikeWatch {
  /**
   * Looks once: raises what rings and closes what is calm, unless another process does. Calls must not overlap.
   *
   * @throws what the store throws; the next look finds the same
   */
  look(): Promise<void>
  /** How many alerts are open, of all processes. */
  open(): number
  /** How many this process has raised. */
  raised(): number
}

type Closed = Extract<Verdict, { kind: 'closed' }>

/** What a look has found of an environment. */
interface Found {
  /** What its busy keys were issued in the minutes that may ring. */
  readonly busy: Map<string, Sample[]>
  /** What it was issued as a whole in the last minute that is over, if that is enough to ring … */
  whole: number
  /** … and of how many counts that is the sum. */
  counts: number
  /** The open alert of each key, or the one that was closed last. */
  readonly alerts: Map<string, Alert>
}

interface Sample {
  readonly minute: number
  readonly issued: number
}

export function createSpikeWatch({ store, journal, seams, log, notifies }: SpikeWatchDeps): SpikeWatch {
  const { alerts } = store
  const courses = createCourses(store)
  let openCount = 0
  let raisedCount = 0
  let lookedAt: number | undefined

  return { look, open: () => openCount, raised: () => raisedCount }

  async function look(): Promise<void> {
    const current = Math.floor(seams.now() / MINUTE_MS)
    let open = 0
    for (const [environmentId, found] of await gather(current)) {
      for (const alert of found.alerts.values()) if (isOpen(alert)) open += 1
      for (const verdict of await judge(environmentId, found, current)) {
        if (verdict.kind === 'raised') await raise(environmentId, verdict.keyId, verdict.spike)
        else await close(found.alerts.get(verdict.keyId), verdict)
        open += verdict.kind === 'raised' ? 1 : -1
      }
    }
    openCount = open
    if (lookedAt === current) return
    lookedAt = current
    courses.forget(current)
    await alerts.forget(current - KEEP_MINUTES)
  }

  async function gather(current: number): Promise<Map<string, Found>> {
    const environments = new Map<string, Found>()
    for (const alert of await alerts.list(current - CLOSED_SINCE_MINUTES)) {
      const { alerts: known } = foundOf(alert.environmentId)
      const other = known.get(alert.keyId)
      if (other === undefined || !isOpen(other)) known.set(alert.keyId, alert)
    }
    for (const minute of [current - 1, current]) {
      for (const { environmentId, keyId, issued } of await store.courses.busyKeys(minute, LEAST_ISSUED)) {
        const { busy } = foundOf(environmentId)
        busy.set(keyId, [...(busy.get(keyId) ?? []), { minute, issued }])
      }
      // Each statement holds the process for as long as it takes.
      await turn()
    }
    const busy = await store.courses.busyEnvironments(current - 1, LEAST_ISSUED)
    for (const { environmentId, issued, counts } of busy) {
      Object.assign(foundOf(environmentId), { whole: issued, counts })
    }
    await turn()
    return environments

    function foundOf(environmentId: string): Found {
      const found = environments.get(environmentId) ?? {
        busy: new Map(),
        whole: 0,
        counts: MANY_COUNTS,
        alerts: new Map(),
      }
      environments.set(environmentId, found)
      return found
    }
  }

  async function judge(environmentId: string, found: Found, current: number): Promise<readonly Verdict[]> {
    const open = [...found.alerts.values()].filter((alert) => isOpen(alert) && alert.keyId !== WHOLE)
    const keys = new Map<string, Standing>()
    for (const keyId of new Set([...open.map((alert) => alert.keyId), ...found.busy.keys()])) {
      keys.set(keyId, await standing(keyId, found.busy.get(keyId) ?? []))
    }
    const { verdicts, rest } = judgeKeys(current, keys)
    const whole = found.alerts.get(WHOLE)
    const isBusy = rest === 'judged' && found.whole > 0 && !isOneKey(found, current - 1)
    if (!isBusy && rest !== 'crowded' && (whole === undefined || !isOpen(whole))) return verdicts
    const samples = found.whole > 0 ? [{ minute: current - 1, issued: found.whole }] : []
    const verdict = judgeWhole(current, await standing(WHOLE, samples), rest)
    return verdict === undefined ? verdicts : [...verdicts, verdict]

    async function standing(keyId: string, samples: readonly Sample[]): Promise<Standing> {
      const counts = keyId === WHOLE ? found.counts : 1
      const { course, set } = await courses.load(environmentId, keyId, current, counts)
      for (const { minute, issued } of samples) if (issued > course(minute)) set(minute, issued)
      const alert = found.alerts.get(keyId)
      if (alert === undefined) return { course }
      return isOpen(alert) ? { course, open: alert } : { course, closedMinute: alert.closedMinute }
    }
  }

  async function raise(environmentId: string, keyId: string, spike: Spike): Promise<void> {
    const id = writeIdentifier('alr', seams.random(IDENTIFIER_RANDOM_BYTES))
    const alert = { id, environmentId, keyId, ...spike }
    const record = alertRecord('raised', {
      ...alert,
      closedMinute: undefined,
      why: undefined,
      peak: undefined,
    })
    const isOurs = await alerts.raise(alert, noticeFor(record))
    if (!isOurs) return
    raisedCount += 1
    log.warn(record, 'issuance spikes')
    journal.alert(record)
  }

  async function close(alert: Alert | undefined, { minute, why }: Closed): Promise<void> {
    if (alert === undefined) return
    const from = Math.max(alert.minute, minute - PEAK_MINUTES)
    const highest = await courses.peak(alert.environmentId, alert.keyId, from, minute)
    const end = { closedMinute: minute, why, peak: Math.max(alert.issued, highest) }
    const record = alertRecord('closed', { ...alert, ...end })
    const isOurs = await alerts.close(alert.id, end, noticeFor(record))
    if (!isOurs) return
    log.info(record, 'issuance spike is over')
    journal.alert(record)
  }

  function noticeFor(record: AlertRecord): NewNotice | undefined {
    return notifies ? noticeOf(record, seams.now()) : undefined
  }
}

function isOpen({ closedMinute }: Alert): boolean {
  return closedMinute === undefined
}

// The environment's course is that key's then, so that there is nothing to add.
function isOneKey({ busy, whole }: Found, minute: number): boolean {
  return busy.values().some((samples) => samples.some((one) => one.minute === minute && one.issued === whole))
}
