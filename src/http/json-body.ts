import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { JetonError } from '../domain/errors.ts'

/**
 * Makes JSON the one kind of body. Bytes that are no UTF-8 are refused instead of patched (RFC 8259 §8.1), and so
 * are members that would reach an object's prototype.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    (request: FastifyRequest, bytes: Buffer, done) => {
      if (!isUtf8(bytes)) {
        done(new JetonError('body_invalid', 'The body is not valid UTF-8.'), undefined)
        return
      }
      parse(request, bytes.toString(), done)
    },
  )
}
