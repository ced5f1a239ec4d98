import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { channels } from '../../formats/channels.ts'
import type { Mint } from '../../mint/mint.ts'
import { callerOf } from '../guard.ts'
import { sendToken } from '../token-reply.ts'

const reply = z.object({ token: z.string(), expiresAt: z.int().min(0).describe('Unix seconds.') })

/** `POST /v1/tokens`: a token that lets a peer act on channels (WIRE 2). */
export async function channelsTokens(app: FastifyInstance, { mint }: { mint: Mint }): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/tokens',
    {
      config: { format: channels.name },
      schema: {
        tags: ['Tokens'],
        summary: 'Mint a channels token',
        body: channels.request,
        response: { 200: reply },
      },
    },
    async (request, response) => {
      const issued = await mint.issue(channels, request.body, callerOf(request))
      return sendToken(response, issued, { token: issued.token, expiresAt: issued.expiresAt })
    },
  )
}
