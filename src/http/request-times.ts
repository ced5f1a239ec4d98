import type { FastifyInstance } from 'fastify'
import type { HttpCounts, RequestTimer } from '../metrics/http-metrics.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Notes how long each request of the route took. */
    timer?: RequestTimer
  }
}

/** Times every request of every route that is registered from here on, by its route and never by its path. */
export function timeRequests(app: FastifyInstance, { timerOf, unmatched }: HttpCounts): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, timer: timerOf(String(route.method), route.url) }
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { timer = unmatched } = request.routeOptions.config
    timer(reply.statusCode, reply.elapsedTime / 1000)
    done()
  })
}
