import fastifyCors from '@fastify/cors'
import fastifyFormbody from '@fastify/formbody'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { peer } from '../../formats/peer.ts'
import type { Mint } from '../../mint/mint.ts'
import type { Guard } from '../guard.ts'
import { sendToken } from '../token-reply.ts'

interface SandboxOptions {
  readonly mint: Mint
  readonly guard: Guard
  /** Who may call from a browser; without any, everybody may, as at the product itself. */
  readonly corsOrigins: readonly string[]
}

const sandboxRequest = z.strictObject({
  apiKey: z.string().describe('The id of a secret key, `kid_…`.'),
  apiSecret: z.string().describe('The secret key, `sk_…`.'),
  groupId: peer.request.shape.groupId,
  peerId: peer.request.shape.peerId,
})

// What the product's own sandbox gives: everybody, for an hour (WIRE 4).
const EVERYBODY = { allowPolicy: { groupId: '*', peerId: '*' }, ttlSeconds: 3_600 }

/**
 * `POST /token`: a peer token as text, for a key in the body (WIRE 4). It takes a secret from a browser, so it is for
 * development alone: there only with SANDBOX=true, which production refuses.
 */
export async function sandbox(
  app: FastifyInstance,
  { mint, guard, corsOrigins }: SandboxOptions,
): Promise<void> {
  app.addHook('onRequest', app.rateLimit())
  await app.register(fastifyFormbody)
  await app.register(fastifyCors, {
    origin: corsOrigins.length === 0 ? true : [...corsOrigins],
    methods: ['POST'],
    allowedHeaders: ['content-type', 'accept-encoding', 'authorization'],
    maxAge: 86_400,
  })
  app.withTypeProvider<ZodTypeProvider>().post(
    '',
    {
      config: { format: peer.name },
      schema: { tags: ['Tokens'], summary: 'Mint a peer token, for development', body: sandboxRequest },
    },
    async (request, reply) => {
      const { apiKey, apiSecret, groupId, peerId } = request.body
      const caller = guard.admit(request, { text: apiSecret, keyId: apiKey }, 'mint')
      const issued = await mint.issue(peer, peer.request.parse({ groupId, peerId, ...EVERYBODY }), caller)
      return reply.type('text/plain; charset=utf-8').send(sendToken(reply, issued, issued.token))
    },
  )
}
