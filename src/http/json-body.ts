import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { JetonError } from '../domain/errors.ts'
import { bodyInvalid } from './errors.ts'

// Only a body with one of these in it, or with an escape that could spell one, is worth a walk.
const SUSPICIOUS = /__proto__|constructor|\\u00/

/**
 * Makes JSON the one kind of body. Bytes that are no UTF-8 are refused instead of patched (RFC 8259 §8.1), and so
 * are members that would reach an object's prototype if something copied them.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (_request: FastifyRequest, bytes: Buffer, done) => {
      try {
        done(null, parse(bytes))
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)), undefined)
      }
    },
  )
}

function parse(bytes: Buffer): unknown {
  if (bytes.length === 0) throw new JetonError('body_invalid', 'The body is empty; a JSON object is needed.')
  if (!isUtf8(bytes)) throw new JetonError('body_invalid', 'The body is not valid UTF-8.')
  const text = bytes.toString()
  const value = parseJson(text)
  const path = SUSPICIOUS.test(text) ? pathToPrototype(value) : undefined
  if (path !== undefined) throw bodyInvalid([{ path, message: 'is not allowed as the name of a member' }])
  return value
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new JetonError('body_invalid', 'The body is not valid JSON.')
  }
}

/** A list or an object of a body, and where it stands. */
interface Place {
  readonly value: object
  readonly name: string | number
  readonly within: Place | undefined
}

// Without recursion: the body may be nested as deep as it is long.
function pathToPrototype(body: unknown): string | undefined {
  const open: Place[] = isObject(body) ? [{ value: body, name: '', within: undefined }] : []
  for (let within = open.pop(); within !== undefined; within = open.pop()) {
    if (Array.isArray(within.value)) {
      for (const [index, value] of within.value.entries())
        if (isObject(value)) open.push({ value, name: index, within })
      continue
    }
    for (const [name, value] of Object.entries(within.value)) {
      if (name === '__proto__' || (name === 'constructor' && hasPrototype(value))) return pathOf(name, within)
      if (isObject(value)) open.push({ value, name, within })
    }
  }
  return undefined
}

const LONGEST_PATH = 256

// Like metadata.list[2].name; of one that is long, its beginning.
function pathOf(member: string, around: Place): string {
  const steps: string[] = []
  let name: string | number = member
  for (let place: Place | undefined = around; place !== undefined; place = place.within) {
    steps.push(typeof name === 'number' ? `[${name}]` : `.${name.slice(0, 64)}`)
    name = place.name
  }
  return steps.reverse().slice(0, LONGEST_PATH).join('').replace(/^\./, '').slice(0, LONGEST_PATH)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function hasPrototype(value: unknown): boolean {
  return isObject(value) && Object.hasOwn(value, 'prototype')
}
