import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { CLIENT_KEY_PREFIX, client } from '../../formats/client.ts'
import type { Mint } from '../../mint/mint.ts'
import { callerOf } from '../guard.ts'
import { sendToken } from '../token-reply.ts'

const reply = z.object({
  apiKey: z.string().describe('`ek_` and the token: what the product’s clients take.'),
  token: z.string(),
  expiresAt: z.iso.datetime(),
  permissions: z
    .object({ models: z.array(z.string()), origins: z.array(z.string()) })
    .partial()
    .optional(),
  constraints: z.object({}).loose().optional(),
})

/** `POST /v1/client/tokens`: a token that lets a client begin a session with a model (WIRE 3). */
export async function clientTokens(app: FastifyInstance, { mint }: { mint: Mint }): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/client/tokens',
    {
      config: { format: client.name },
      schema: {
        tags: ['Tokens'],
        summary: 'Mint a client token',
        body: client.request,
        response: { 200: reply },
      },
    },
    async (request, response) => {
      const { allowedModels: models, allowedOrigins: origins, constraints } = request.body
      const issued = await mint.issue(client, request.body, callerOf(request))
      return sendToken(response, issued, {
        apiKey: `${CLIENT_KEY_PREFIX}${issued.token}`,
        token: issued.token,
        expiresAt: new Date(issued.expiresAt * 1000).toISOString(),
        // JSON leaves out what is undefined: both are answered only when they were asked for.
        permissions: models === undefined && origins === undefined ? undefined : { models, origins },
        constraints,
      })
    },
  )
}
