import { z } from 'zod'
import { subjectFault } from '../domain/subject.ts'

/** How deep an object of the caller's may be nested: far beyond any use, far below what a stack holds. */
const DEEPEST_LEVEL = 32

/** Text of `least` to `most` characters (Unicode code points, as in JSON Schema), well-formed, no control characters. */
export function text(least: number, most: number) {
  return z
    .string()
    .refine((value) => hasLength(value, least, most), `must be ${least} to ${most} characters`)
    .refine((value) => !/\p{Cc}/u.test(value) && value.isWellFormed(), 'must not hold control characters')
    .meta({ minLength: least, maxLength: most })
}

/** The identity of an end user: counted as it is sent, so it may not hold what cannot be seen. */
export function subject(most: number) {
  return z
    .string()
    .refine((value) => hasLength(value, 1, most), `must be 1 to ${most} characters`)
    .superRefine((value, context) => {
      const fault = subjectFault(value)
      if (fault !== undefined) context.addIssue(fault)
    })
    .meta({ minLength: 1, maxLength: most })
}

/** A whole number, in seconds. */
export function seconds(least: number, most: number) {
  return z
    .int(`must be a whole number`)
    .min(least, `must be at least ${least}`)
    .max(most, `must be at most ${most}`)
}

/** An object of the caller's own making, at most `mostBytes` of UTF-8 as JSON. */
export function jsonObject(mostBytes: number) {
  return z
    .record(z.string(), z.unknown(), 'must be an object')
    .refine((value) => isShallow(value, DEEPEST_LEVEL), {
      error: `must not be nested deeper than ${DEEPEST_LEVEL} levels`,
      abort: true,
    })
    .refine(holdsNoInfinity, 'must hold no number beyond 1.8e308')
    .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= mostBytes, {
      error: `must be at most ${mostBytes} bytes as JSON`,
    })
}

/** An http or https URL of at most `most` characters. */
export function httpUrl(most: number) {
  return z
    .string()
    .max(most, `must be at most ${most} characters`)
    .refine((value) => isHttpUrl(value), 'must be an http or https URL')
    .meta({ format: 'uri' })
}

function hasLength(value: string, least: number, most: number): boolean {
  // A code point is one or two units, so only text between the two bounds needs counting.
  if (value.length < least || value.length > 2 * most) return false
  return value.length <= most ? least <= 1 || [...value].length >= least : [...value].length <= most
}

function isHttpUrl(value: string): boolean {
  if (!/^https?:\/\/[^\s\\]+$/.test(value) || !value.isWellFormed() || !URL.canParse(value)) return false
  const { username, password } = new URL(value)
  return username === '' && password === ''
}

// JSON can spell what no number of JavaScript is, and it would be null in the token.
function holdsNoInfinity(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(holdsNoInfinity)
  return typeof value !== 'number' || Number.isFinite(value)
}

function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((member) => isShallow(member, levels - 1))
}
