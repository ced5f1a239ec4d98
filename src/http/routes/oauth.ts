import fastifyFormbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import type { Gate } from '../../gate/gate.ts'
import type { Revoke } from '../../gate/revoke.ts'
import { callerOf, type Guard } from '../guard.ts'
import { PRESENTATION_LIMIT_BYTES } from '../server-options.ts'

interface OAuthOptions {
  readonly gate: Gate
  readonly revoke: Revoke
  readonly guard: Guard
  readonly sendOAuthError: (error: Error, request: FastifyRequest, reply: FastifyReply) => void
}

// RFC 7662 §2.1, RFC 7009 §2.1: the hint only says where to look first, and all tokens lie in one place here. Members
// that are not known are ignored, and one without a value counts as left out (RFC 6749 §3.2).
const form = z.object({
  token: z.string('must be there once').min(1, 'is needed'),
  token_type_hint: z.string('must be there once').optional(),
})

const inactive = z.object({ active: z.literal(false) })

const active = z
  .object({
    active: z.literal(true),
    client_id: z.string().describe('The secret key that minted or signed the token.'),
    token_type: z.literal('Bearer'),
    sub: z.string(),
    iat: z.int(),
    exp: z.int(),
    jti: z.string(),
  })
  .loose()

/**
 * `POST /v1/introspect` (RFC 7662) and `POST /v1/revoke` (RFC 7009), for OAuth's own libraries: forms come in, and
 * errors go out in OAuth's shape.
 */
export async function oauth(
  app: FastifyInstance,
  { gate, revoke, guard, sendOAuthError }: OAuthOptions,
): Promise<void> {
  app.setErrorHandler(sendOAuthError)
  app.removeAllContentTypeParsers()
  await app.register(fastifyFormbody)
  app.addContentTypeParser('*', (_request, _payload, done) => done(formsOnly()))
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const tags = ['Gate']

  routes.post(
    '/v1/introspect',
    {
      onRequest: guard.before('verify'),
      bodyLimit: PRESENTATION_LIMIT_BYTES,
      schema: {
        tags,
        summary: 'Introspect a token (RFC 7662)',
        consumes: ['application/x-www-form-urlencoded'],
        body: form,
        response: { 200: z.union([active, inactive]) },
      },
    },
    async (request, reply) => {
      reply.header('Cache-Control', 'no-store')
      const found = gate.examine(callerOf(request).environment, request.body.token)
      // RFC 7662 §2.2: nothing is told of why not.
      if (found === undefined) return { active: false as const }
      const { claims, keyId, jti, subject = keyId, issuedAt, expiresAt } = found
      const registered = { client_id: keyId, sub: subject, iat: issuedAt, exp: expiresAt, jti }
      return { ...claims, ...registered, active: true as const, token_type: 'Bearer' as const }
    },
  )

  routes.post(
    '/v1/revoke',
    {
      onRequest: guard.before('revoke'),
      preHandler: guard.acting,
      schema: {
        tags,
        summary: 'Revoke a token (RFC 7009)',
        consumes: ['application/x-www-form-urlencoded'],
        body: form,
      },
    },
    async (request, reply) => {
      const { environment } = callerOf(request)
      const found = gate.identify(environment, request.body.token)
      // RFC 7009 §2.2: an unknown token is a success as well, since what was wanted is so.
      if (found !== undefined) await revoke.revoke(environment.id, found)
      return reply.header('Cache-Control', 'no-store').code(200).send()
    },
  )
}

function formsOnly(): JetonError {
  return new JetonError('media_type_unsupported', 'Send the body as application/x-www-form-urlencoded.')
}
