import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { LOG_LEVELS } from '../../config.ts'
import type { LogLevels } from '../../log-level.ts'

const level = z.enum(LOG_LEVELS)
const levels = z.object({
  level: level.describe('The level of this process.'),
  configured: level.describe('The one that it was started with, and has again after a restart.'),
})

/** `GET` and `PUT /v1/log-level`: the level of this process's log, and of no other one's. */
export async function logLevelRoutes(
  root: FastifyInstance,
  { logLevels }: { logLevels: LogLevels },
): Promise<void> {
  const app = root.withTypeProvider<ZodTypeProvider>()
  const show = () => ({ level: logLevels.current(), configured: logLevels.configured })

  app.get(
    '/v1/log-level',
    { schema: { tags: ['Operations'], summary: 'The level of the log', response: { 200: levels } } },
    async () => show(),
  )

  app.put(
    '/v1/log-level',
    {
      schema: {
        tags: ['Operations'],
        summary: 'Change the level of the log',
        description:
          'Until this process ends. Behind a balancer it reaches one process, and nobody chooses which. The record of issued tokens is no part of the log.',
        body: z.strictObject({ level }).meta({ examples: [{ level: 'debug' }] }),
        response: { 200: levels },
      },
    },
    async ({ id: requestId, body }) => {
      logLevels.change(body.level, { requestId })
      return show()
    },
  )
}
