import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { seconds, subject } from '../../formats/fields.ts'
import { TURN_FORMAT, TURN_LIFETIME, type TurnMint } from '../../mint/turn.ts'
import { callerOf } from '../guard.ts'
import { sendToken } from '../token-reply.ts'

const query = z.strictObject({
  subject: subject(128).describe('Who the credentials are for, and who is limited.'),
  ttlSeconds: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(seconds(1, TURN_LIFETIME.longestSeconds))
    .optional(),
})

const reply = z.object({
  iceServers: z
    .array(z.object({ urls: z.array(z.string()).readonly(), username: z.string(), credential: z.string() }))
    .readonly(),
  expiresAt: z.int().min(0).describe('Unix seconds.'),
})

/** `GET /v1/turn/credentials`: credentials for the environment's TURN server alone (WIRE 5). */
export async function turnCredentials(
  app: FastifyInstance,
  { turnMint }: { turnMint: TurnMint },
): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/v1/turn/credentials',
    {
      config: { format: TURN_FORMAT },
      schema: {
        tags: ['Tokens'],
        summary: 'Make TURN credentials',
        querystring: query,
        response: { 200: reply },
      },
    },
    async (request, response) => {
      const issued = await turnMint.issue(request.query, callerOf(request))
      return sendToken(response, issued, { iceServers: issued.iceServers, expiresAt: issued.expiresAt })
    },
  )
}
