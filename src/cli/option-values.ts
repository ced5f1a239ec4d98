import { z } from 'zod'
import { MOST_GRACE_SECONDS } from '../domain/key-life.ts'
import { text } from '../formats/fields.ts'
import { systemSeams } from '../seams.ts'
import { UsageError } from './input.ts'

const name = text(1, 80)
const dateTime = z.iso.datetime({ offset: true })

/** Ten digits reach the year 2286; milliseconds have thirteen. */
const UNIX_SECONDS = /^\d{1,10}$/
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
