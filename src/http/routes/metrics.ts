import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../../metrics/metrics.ts'

/** `GET /metrics`: for Prometheus, which sends the admin key. */
export async function metricsRoute(app: FastifyInstance, { metrics }: { metrics: Metrics }): Promise<void> {
  app.get(
    '/metrics',
    { schema: { tags: ['Operations'], summary: 'Metrics in Prometheus’s text format' } },
    async (_request, reply) =>
      reply
        .type(metrics.contentType)
        .header('Cache-Control', 'no-store')
        .send(await metrics.text()),
  )
}
