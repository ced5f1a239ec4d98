import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type FastifyBaseLogger, type FastifyHttpOptions, LogController } from 'fastify'
import type { Config } from '../config.ts'
import { createServer } from '../node-http.ts'

/** The largest body, in bytes: 32 KB, as one of the hosted products takes (WIRE 2). */
export const BODY_LIMIT_BYTES = 32_768

/**
 * The largest body with a token to be judged, in bytes. A realtime server hands on what a stranger sent it, and is
 * answered that a token is none rather than that its own request was refused.
 */
export const PRESENTATION_LIMIT_BYTES = 2_097_152

/** The largest request line and headers together, in bytes. */
export const HEADERS_LIMIT_BYTES = 16_384

const LIMITS = {
  // A client that is slower than this holds a socket for nothing: the largest body is 32 KB.
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  // Longer than the 60 s for which load balancers keep an idle connection, so that they never meet a closing one.
  keepAliveTimeout: 72_000,
  handshakeTimeout: 5_000,
  maxHeaderSize: HEADERS_LIMIT_BYTES,
  // Refused in the catalogue's own words, by the guard of every request.
  requireHostHeader: false,
} as const

/**
 * How long nothing may go either way while a request is being answered: longer than any reader of revocations waits. Who
 * asks and does not read would hold a socket for ever.
 */
const SILENCE_MS = 60_000

const REQUEST_ID = /^[\w.-]{1,64}$/

/** How the server itself is set up, under all routes. */
export function serverOptions(
  { tls, trustProxy }: Pick<Config, 'tls' | 'trustProxy'>,
  log: FastifyBaseLogger,
): FastifyHttpOptions<Server> {
  return {
    serverFactory: (handler) => {
      const server =
        tls === undefined ? createServer(LIMITS, handler) : createTlsServer({ ...LIMITS, ...tls }, handler)
      server.setTimeout(SILENCE_MS)
      // RFC 9110 §10.1.1 lets a server ignore what it does not know to expect; Node would answer with nothing to read.
      server.on('checkExpectation', handler)
      return server
    },
    loggerInstance: log,
    // Fastify's own request lines print the query string; ours name what happened (STYLE 12).
    logController: new LogController({ disableRequestLogging: true }),
    // A child logger for each request costs more than writing the request id where it is wanted.
    childLoggerFactory: (logger) => logger,
    genReqId,
    trustProxy: trustProxy.length === 0 ? false : [...trustProxy],
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: 'idle',
    // While closing, what arrives on a connection that is not idle is still answered, with `Connection: close`.
    return503OnClosing: false,
    // Ours are set beside the routes. Without these Fastify loads its own, which takes a tenth of a start.
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
    routerOptions: { ignoreDuplicateSlashes: true },
  }
}

function unused(): never {
  throw new Error('Every schema is compiled by the compilers that the app sets')
}

/** The caller's own request id when it is one, else a new one. */
function genReqId(request: IncomingMessage): string {
  const sent = request.headers['x-request-id']
  return typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : randomUUID()
}
