import type { z } from 'zod'
import { type ErrorCode, errorCatalogue, type Issue } from '../domain/errors.ts'
import { bodyInvalid } from './errors.ts'

/** Fastify's validator compiler: a zod schema checks, and what it finds becomes a `body_invalid` of the catalogue. */
export function validatorCompiler({ schema }: { schema: z.ZodType }) {
  return (data: unknown) => {
    const crowded = crowdedMember(data)
    if (crowded !== undefined) return { error: bodyInvalid([{ path: crowded, message: TOO_MANY }]) }
    const found = schema.safeParse(data, wording)
    return found.success ? { value: found.data } : { error: toBodyInvalid(found.error) }
  }
}

/** More than any object that is taken could hold within its limits, and few enough to be looked at one by one. */
const MOST_MEMBERS = 2_000
const TOO_MANY = `has more than ${MOST_MEMBERS} members`

// A schema looks at every member before it refuses one, and a body may be full of them.
function crowdedMember(data: unknown): string | undefined {
  if (isCrowded(data)) return ''
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
  const found = Object.entries(data).find(([, value]) => isCrowded(value))
  return found && (MEMBER_NAME.test(found[0]) ? found[0] : '…')
}

function isCrowded(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > MOST_MEMBERS
}

/** The faults that one answer names; a hostile body could have thousands. */
const MOST_ISSUES = 20

/** What could be a misspelt member. Anything else may be a secret that stands in the wrong place, and is not told back. */
const MEMBER_NAME = /^[\w-]{1,40}$/

function toBodyInvalid({ issues }: z.ZodError) {
  const [code, ...otherCodes] = new Set(issues.map(codeOf))
  return bodyInvalid(
    issues.flatMap(toIssues).slice(0, MOST_ISSUES),
    otherCodes.length === 0 ? code : undefined,
  )
}

function toIssues(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code !== 'unrecognized_keys') return [{ path: pathOf(issue.path), message: issue.message }]
  return issue.keys.slice(0, MOST_ISSUES).map((key) => ({
    path: pathOf([...issue.path, MEMBER_NAME.test(key) ? key : '…']),
    message: 'is not known here',
  }))
}

// A schema can ask for another code than `body_invalid`.
function codeOf(issue: z.core.$ZodIssue): ErrorCode | undefined {
  const asked: unknown = issue.code === 'custom' ? issue.params?.error : undefined
  return isErrorCode(asked) ? asked : undefined
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && value in errorCatalogue
}

function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`,
    )
    .join('')
}

// Zod's own wording is for developers of schemas; these sentences go on after the member's name.
const wording: z.core.ParseContext<z.core.$ZodIssue> = {
  error: (issue) => {
    if (issue.input === undefined) return 'is needed'
    if (issue.code === 'invalid_type') return `must be ${nameOfType(issue.expected)}`
    if (issue.code === 'too_small') return `must ${amount(issue.origin, `at least ${issue.minimum}`)}`
    if (issue.code === 'too_big') return `must ${amount(issue.origin, `at most ${issue.maximum}`)}`
    if (issue.code === 'invalid_value') return `must be ${oneOf(issue.values)}`
    return undefined
  },
}

function amount(origin: string, bound: string): string {
  if (origin === 'string') return `have ${bound} characters`
  return origin === 'array' ? `have ${bound} entries` : `be ${bound}`
}

function oneOf(values: readonly unknown[]): string {
  return values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`
}

function nameOfType(expected: string): string {
  if (expected === 'int') return 'a whole number'
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`
}
