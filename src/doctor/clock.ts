import type { Inspection } from '../store/inspect.ts'
import { type Check, mend, ok } from './check.ts'

/** How far the clock may be behind what other clocks wrote into the database. */
export const CLOCK_TOLERANCE_MS = 60_000
/** No clock that is right says less than this. */
const OLDEST_NOW = Date.UTC(2026, 0, 1)
const NEWEST_NOW = Date.UTC(2100, 0, 1)

export function examineClock(now: number, inspection: Inspection | undefined): Check {
  const at = new Date(now).toISOString()
  const how = 'set the clock of this machine, and let it follow a time server'
  if (now < OLDEST_NOW || now >= NEWEST_NOW) return mend(`the clock says ${at}, which cannot be`, how)
  const newest = inspection?.newestAt
  if (newest === undefined || now >= newest - CLOCK_TOLERANCE_MS) return ok(`the clock says ${at}`)
  const made = new Date(newest).toISOString()
  return mend(`the clock says ${at}, but the database has something made at ${made}`, how)
}
