import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { z } from 'zod'
import { type ErrorCode, errorCatalogue, type Issue, JetonError } from '../domain/errors.ts'
import type { Journal } from '../journal/journal.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { LimitError } from '../mint/admission.ts'
import { STATUS_CODES } from '../node-http.ts'
import { letGo } from './connections.ts'
import { oauthCodeOf } from './oauth-errors.ts'
import { writeRateLimits } from './rate-limit-headers.ts'
import { HEADERS_LIMIT_BYTES } from './server-options.ts'

/** The body of every error (RFC 9457). `error` and `message` are what two of the real clients print. */
export const problemSchema = z.object({
  type: z.string().describe('Where the error is explained.'),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('What was wrong with this request.'),
  error: z.enum(Object.keys(errorCatalogue)).describe('The stable code.'),
  message: z.string().describe('The same as `detail`.'),
  requestId: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
})

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Of a route that mints: the format, by which its refusals are recorded. */
    format?: string
  }
}

interface ErrorRepliesDeps {
  /** Where the explanations are served. */
  readonly publicUrl: string
  readonly log: Logger
  readonly journal: Pick<Journal, 'refuse'>
  readonly metrics: Pick<Metrics, 'http' | 'tokens'>
}

/** Turns errors into answers. */
export function createErrorReplies({ publicUrl, log, journal, metrics }: ErrorRepliesDeps) {
  return { sendError, sendOAuthError, onClientError }

  /** Answers a request whose handling threw. What the caller may not read goes to the log. */
  function sendError(thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
    const error = prepare(thrown, request, reply)
    reply.type('application/problem+json').send(JSON.stringify(toProblem(error, request.id)))
  }

  /** The same in the shape of OAuth (RFC 6749 §5.2), with our own code beside its. */
  function sendOAuthError(thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
    const error = prepare(thrown, request, reply)
    const { error: code, detail, type, ...more } = toProblem(error, request.id)
    const body = {
      error: oauthCodeOf(error.error),
      error_description: detail,
      error_uri: type,
      code,
      ...more,
    }
    reply.type('application/json').send(JSON.stringify(body))
  }

  function prepare(thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): JetonError {
    const error = toJetonError(thrown, request)
    const { status } = errorCatalogue[error.error]
    count(error, request)
    record(error, request)
    if (error.cause !== undefined && status >= 500) {
      log.error({ requestId: request.id, error: error.error, err: error.cause }, 'request failed')
    } else {
      log.debug({ requestId: request.id, error: error.error, status }, 'request refused')
    }
    if (error.retryAfterSeconds !== undefined) reply.header('Retry-After', error.retryAfterSeconds)
    if (error instanceof LimitError) writeRateLimits(reply, error.limits)
    if (status === 401) reply.header('WWW-Authenticate', `${schemeOf(request)} realm="jeton"`)
    reply.code(status).header('X-Request-Id', request.id).header('Cache-Control', 'no-store')
    return error
  }

  function count({ error: code }: JetonError, { routeOptions }: FastifyRequest): void {
    const { format } = routeOptions.config
    metrics.http.failed(code)
    if (format !== undefined) metrics.tokens.refused(format, code)
  }

  // Whoever has no living key records nothing, or anyone could fill the disk.
  function record({ error: code }: JetonError, { caller, routeOptions }: FastifyRequest): void {
    const { format } = routeOptions.config
    if (caller === undefined || format === undefined) return
    const { key, address, endUserAddress, userAgent, requestId, asked } = caller
    const { environmentId, id: keyId } = key
    const who = { environmentId, keyId, format, code, subject: asked.subject }
    journal.refuse({ ...who, address, endUserAddress, userAgent, requestId })
  }

  /** Answers bytes that are no HTTP request, or one that did not arrive in time. No request object exists then. */
  function onClientError(error: Error & { code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const { code, detail } = clientErrors[error.code ?? ''] ?? malformed
    metrics.http.failed(code)
    const requestId = crypto.randomUUID()
    const { status } = errorCatalogue[code]
    const body = JSON.stringify(toProblem(new JetonError(code, detail), requestId))
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      'Cache-Control: no-store',
      'Connection: close',
    ]
    letGo(socket, `${head.join('\r\n')}\r\n\r\n${body}`)
  }

  function toProblem(error: JetonError, requestId: string): z.input<typeof problemSchema> {
    const { status, title } = errorCatalogue[error.error]
    return {
      type: `${publicUrl}/docs/errors#${error.error}`,
      title,
      status,
      detail: error.message,
      error: error.error,
      message: error.message,
      requestId,
      ...(error.issues === undefined ? {} : { issues: [...error.issues] }),
    }
  }
}

// RFC 6749 §5.2: the challenge names the scheme that was tried. Basic only then, for browsers would ask people for it.
function schemeOf({ headers: { authorization = '' } }: FastifyRequest): 'Basic' | 'Bearer' {
  return /^Basic[ \t]/i.test(authorization) ? 'Basic' : 'Bearer'
}

const malformed = { code: 'request_malformed', detail: 'This is not a valid HTTP request.' } as const

const clientErrors: Record<string, { code: ErrorCode; detail: string }> = {
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'request_timeout', detail: 'The request did not arrive in time.' },
  HPE_HEADER_OVERFLOW: {
    code: 'headers_too_large',
    detail: `The request line and headers are beyond ${HEADERS_LIMIT_BYTES} bytes.`,
  },
}

// Fastify's own failures, by its codes: https://fastify.dev/docs/latest/Reference/Errors/
const frameworkErrors: Record<string, { code: ErrorCode; detail: string }> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'media_type_unsupported',
    detail: 'Send the body as application/json.',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    code: 'body_invalid',
    detail: 'The body is empty; a JSON object is needed.',
  },
  FST_ERR_CTP_INVALID_JSON_BODY: { code: 'body_invalid', detail: 'The body is not valid JSON.' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'body_invalid',
    detail: 'The body is not as long as Content-Length says.',
  },
  FST_ERR_BAD_URL: { code: 'request_malformed', detail: 'The path is not a valid URL.' },
}

function toJetonError(thrown: FastifyError | Error, { routeOptions }: FastifyRequest): JetonError {
  if (thrown instanceof JetonError) return thrown
  if ('code' in thrown && thrown.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new JetonError('body_too_large', `The body is larger than ${routeOptions.bodyLimit} bytes.`)
  }
  const known = 'code' in thrown ? frameworkErrors[thrown.code] : undefined
  if (known !== undefined) return new JetonError(known.code, known.detail)
  const status = 'statusCode' in thrown ? (thrown.statusCode ?? 500) : 500
  if (status >= 400 && status < 500)
    return new JetonError(malformed.code, malformed.detail, { cause: thrown })
  return new JetonError('internal', 'Something went wrong here. The log knows more under this request id.', {
    cause: thrown,
  })
}

/** The 400 for a body, with its first fault as the sentence that clients print. */
export function bodyInvalid(issues: readonly Issue[], error: ErrorCode = 'body_invalid'): JetonError {
  const [first] = issues
  const sentence =
    first === undefined ? 'The body is not valid' : `${first.path || 'The body'} ${first.message}`
  const others = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  return new JetonError(error, `${sentence}${others}.`, { issues })
}
