import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { peer } from '../../formats/peer.ts'
import type { Mint } from '../../mint/mint.ts'
import { callerOf } from '../guard.ts'
import { sendToken } from '../token-reply.ts'

const reply = z.object({
  token: z.string(),
  expiresAt: z.int().min(0).describe('Unix seconds.'),
  groupId: z.string(),
  peerId: z.string(),
})

/** `POST /v1/peer/tokens`: a token that lets a peer connect to others of a group (WIRE 4, 5). */
export async function peerTokens(app: FastifyInstance, { mint }: { mint: Mint }): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/peer/tokens',
    {
      config: { format: peer.name },
      schema: {
        tags: ['Tokens'],
        summary: 'Mint a peer token',
        body: peer.request,
        response: { 200: reply },
      },
    },
    async (request, response) => {
      const { groupId, peerId } = request.body
      const issued = await mint.issue(peer, request.body, callerOf(request))
      return sendToken(response, issued, {
        token: issued.token,
        expiresAt: issued.expiresAt,
        groupId,
        peerId,
      })
    },
  )
}
