import { z } from 'zod'
import { MOST_GRACE_SECONDS } from '../domain/key-life.ts'
import { text } from '../formats/fields.ts'
import { systemSeams } from '../seams.ts'
import { UsageError } from './input.ts'

const name = text(1, 80)
const dateTime = z.iso.datetime({ offset: true })

/** Ten digits reach the year 2286; milliseconds have thirteen. */
const UNIX_SECONDS = /^\d{1,10}$/
/** Twenty-seven years at most, in days. */
const AGO = /^(\d{1,4})([smhd])$/
const GRACE = /^(\d{1,7})([smhd]?)$/
const SECONDS = { '': 1, s: 1, m: 60, h: 3_600, d: 86_400 } as const

/** What people call a key. */
export function parseName(value: string): string {
  const found = name.safeParse(value)
  if (found.success) return found.data
  throw new UsageError(`The name ${found.error.issues[0]?.message}.`)
}

/**
 * A moment to come: unix seconds, or ISO 8601 with its offset, since a time without one is another moment elsewhere.
 *
 * @returns unix milliseconds, of whole seconds
 */
export function parseExpiry(value: string): number {
  const seconds = UNIX_SECONDS.test(value) ? Number(value) : Math.floor(isoToMs(value) / 1000)
  if (seconds * 1000 > systemSeams.now()) return seconds * 1000
  throw new UsageError(`--expires-at ${value} is not in the future.`)
}

function isoToMs(value: string): number {
  if (dateTime.safeParse(value).success) return Date.parse(value)
  throw new UsageError('--expires-at takes unix seconds, or a moment like 2027-01-31T12:00:00Z.')
}

/**
 * A moment of the past: unix seconds, ISO 8601 with its offset, or how long ago it is, like 90m, 2h or 7d.
 *
 * @param option what was given, as the refusal calls it
 * @param now unix milliseconds
 * @returns unix milliseconds
 */
export function parseMoment(option: string, value: string, now: number): number {
  const [, count, unit] = AGO.exec(value) ?? []
  if (unit === 's' || unit === 'm' || unit === 'h' || unit === 'd') {
    return now - Number(count) * SECONDS[unit] * 1000
  }
  if (UNIX_SECONDS.test(value)) return Number(value) * 1000
  if (dateTime.safeParse(value).success) return Date.parse(value)
  throw new UsageError(
    `${option} takes unix seconds, a moment like 2026-11-22T12:00:00Z, or how long ago, like 90m, 2h or 7d.`,
  )
}

/** How long a rotated key lives on, in seconds: a whole number of them, or of minutes, hours or days. */
export function parseGrace(value: string): number {
  const [, count, unit = ''] = GRACE.exec(value) ?? []
  const isUnit = unit === '' || unit === 's' || unit === 'm' || unit === 'h' || unit === 'd'
  const seconds = isUnit ? Number(count) * SECONDS[unit] : Number.NaN
  if (seconds <= MOST_GRACE_SECONDS) return seconds
  throw new UsageError(
    `--grace takes 0 to ${MOST_GRACE_SECONDS} seconds, or the same as minutes, hours or days, like 90m, 12h or 7d.`,
  )
}
