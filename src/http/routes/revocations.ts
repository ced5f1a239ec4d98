import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import { revocableText } from '../../formats/claim-rules.ts'
import type { Revoke } from '../../gate/revoke.ts'
import { bodyInvalid } from '../errors.ts'
import type { Guard } from '../guard.ts'

const moment = z.int('must be a whole number').min(0, 'must be at least 0')

const request = z
  .strictObject({
    jti: revocableText.optional().describe('One token.'),
    subject: revocableText.optional().describe('All tokens of a subject; of a peer, `groupId:peerId`.'),
    keyId: revocableText.optional().describe('All tokens that a secret key minted or signed.'),
    before: moment
      .optional()
      .describe('Those that were issued up to this second; now, when left out. Not beside `jti`.'),
    environmentId: revocableText.optional().describe('Needed with the admin key.'),
  })
  .transform(({ environmentId, ...about }, context) => {
    const { jti, subject, keyId, before } = about
    if ([jti, subject, keyId].filter((what) => what !== undefined).length !== 1) {
      context.addIssue({ code: 'custom', path: [], message: 'must hold one of jti, subject and keyId' })
    } else if (jti !== undefined && before === undefined) return { environmentId, revocation: { jti } }
    else if (subject !== undefined) return { environmentId, revocation: { subject, before } }
    else if (keyId !== undefined) return { environmentId, revocation: { keyId, before } }
    else context.addIssue({ code: 'custom', path: ['before'], message: 'must not stand beside jti' })
    return z.NEVER
  })
  .meta({ examples: [{ subject: 'alice' }] })

interface RevocationRoutes {
  readonly guard: Guard
  readonly revoke: Revoke
}

/** `POST /v1/revocations`: ends tokens before their time (WIRE 5). For a secret key or the admin key. */
export async function revocations(app: FastifyInstance, { guard, revoke }: RevocationRoutes): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/revocations',
    {
      onRequest: guard.beforeOrAdmin('revoke'),
      preHandler: guard.acting,
      schema: {
        tags: ['Gate'],
        summary: 'Revoke a token, or all tokens of a subject or a key',
        body: request,
        response: { 200: z.object({ version: z.int().describe('The version of the feed that has it.') }) },
      },
    },
    async ({ caller, body }) => {
      const own = caller?.environment.id
      const environmentId = body.environmentId ?? own
      if (environmentId === undefined) {
        throw bodyInvalid([{ path: 'environmentId', message: 'is needed with the admin key' }])
      }
      // Nothing crosses environments, not even whether there is another one.
      if (own !== undefined && environmentId !== own) {
        throw new JetonError('not_found', 'There is no such environment.')
      }
      return { version: await revoke.revoke(environmentId, body.revocation) }
    },
  )
}
