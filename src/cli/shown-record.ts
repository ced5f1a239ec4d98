import { z } from 'zod'

const record = z.looseObject({ at: z.string(), type: z.string() })

/** What only machines look at. */
const LEFT_OUT: readonly string[] = ['v', 'prev', 'n']

/**
 * A record as a line for people: when, what, and each of its members by name. Whatever could move a terminal's cursor is
 * written as JSON writes it.
 */
export function recordText(line: string): string {
  const found = record.safeParse(parse(line))
  if (!found.success) return JSON.stringify(line)
  const { at, type, ...members } = found.data
  const rest = Object.entries(members)
    .filter(([name]) => !LEFT_OUT.includes(name))
    .map(([name, value]) => `${name}=${isPlain(value) ? value : JSON.stringify(value)}`)
  return [at, type.padEnd(8), ...rest].join('  ')
}

function isPlain(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && /^[\w.:@/+-]+$/.test(value))
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
