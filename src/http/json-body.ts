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

// Without recursion: the body may be nested as deep as it is long.
function pathToPrototype(body: unknown): string | undefined {
  const open: { value: unknown; path: string }[] = [{ value: body, path: '' }]
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    if (typeof step.value !== 'object' || step.value === null) continue
    const isList = Array.isArray(step.value)
    for (const [name, value] of Object.entries(step.value)) {
      const path = isList
        ? `${step.path}[${name}]`
        : `${step.path}${step.path === '' ? '' : '.'}${name.slice(0, 64)}`
      if (name === '__proto__' || (name === 'constructor' && hasPrototype(value))) return path.slice(0, 256)
      open.push({ value, path: path.slice(0, 256) })
    }
  }
  return undefined
}

function hasPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype')
}
