import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import { JWKS_MAX_AGE_SECONDS } from '../../domain/signing-period.ts'
import type { Follower } from '../../keys/follower.ts'
import type { Keyring } from '../../keys/keyring.ts'
import { isMatched } from '../entity-tags.ts'

const params = z.object({ id: z.string().describe('The environment, env_…') })

const jwkSet = z.object({
  keys: z.array(
    z.object({
      kty: z.literal('OKP'),
      crv: z.literal('Ed25519'),
      x: z.string(),
      kid: z.string(),
      alg: z.literal('EdDSA'),
      use: z.literal('sig'),
      fmt: z
        .string()
        .optional()
        .describe('There for an imported key: the one `fmt` whose tokens it may verify.'),
    }),
  ),
})

/** `GET /environments/{id}/.well-known/jwks.json`: what verifies an environment's EdDSA tokens (RFC 7517 §5). */
export async function jwks(
  app: FastifyInstance,
  { follower, keyring }: { readonly follower: Follower; readonly keyring: Keyring },
): Promise<void> {
  app.get<{ Params: z.output<typeof params> }>(
    '/environments/:id/.well-known/jwks.json',
    {
      schema: {
        tags: ['Tokens'],
        summary: 'The public keys that verify tokens',
        params,
        response: { 200: jwkSet },
      },
    },
    async (request, reply) => {
      const keys = keyring.publicKeys(request.params.id)
      if (keys === undefined) throw new JetonError('not_found', 'There is no such environment.')
      const body = JSON.stringify({ keys })
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
      // A process that may have missed a new key still answers, so that verifiers go on, but nobody keeps its answer.
      const mayBeKept = follower.knowledge() !== 'stale'
      reply
        .header('Cache-Control', mayBeKept ? `public, max-age=${JWKS_MAX_AGE_SECONDS}` : 'no-cache')
        .header('ETag', etag)
      if (isMatched(request.headers['if-none-match'], etag)) return reply.code(304).send()
      return reply.type('application/jwk-set+json').send(body)
    },
  )
}
