import { Socket } from 'node:net'
import helmet from 'helmet'
import type { Config } from '../config.ts'
import { IncomingMessage, ServerResponse } from '../node-http.ts'

/**
 * Helmet's headers for answers that are data: nothing in them may be run, shown or framed. The documentation page has a
 * rule of its own.
 *
 * They are the same for every answer, so they are asked for once. What @fastify/helmet does makes them anew for every
 * request, and helmet itself writes them one by one in a way that makes Node take its slow path for all other headers.
 */
export function securityHeaders({ tls }: Pick<Config, 'tls'>): Readonly<Record<string, string>> {
  const write = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    // The rule above says who may frame an answer, to every browser that takes it; the older header adds nothing.
    xFrameOptions: false,
    // About pages and what they open, which answers here are not; each header costs a hundredth of a bare request.
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    referrerPolicy: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
    // Binds the whole host for a year, so it is said only where Jeton itself serves the host's HTTPS.
    strictTransportSecurity: tls !== undefined && { includeSubDomains: false },
  })
  const request = new IncomingMessage(new Socket())
  const response = new ServerResponse(request)
  // It calls back before it returns: none of these headers depends on anything.
  write(request, response, (error) => {
    if (error !== undefined) throw error
  })
  return Object.fromEntries(Object.entries(response.getHeaders()).map(([name, value]) => [name, `${value}`]))
}
