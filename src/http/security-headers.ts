import type { FastifyReply, FastifyRequest } from 'fastify'
import helmet from 'helmet'
import type { Config } from '../config.ts'

/**
 * The hook that writes helmet's headers. The answers are data: nothing in them may be run, shown or framed. The
 * documentation page has a rule of its own.
 */
export function securityHeaders({ tls }: Pick<Config, 'tls'>) {
  // Made once: what @fastify/helmet does makes it anew for every request.
  const write = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    // Binds the whole host for a year, so it is said only where Jeton itself serves the host's HTTPS.
    strictTransportSecurity: tls !== undefined && { includeSubDomains: false },
  })
  return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    write(request.raw, reply.raw, (error) => done(error instanceof Error ? error : undefined))
  }
}
