import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { user } from '../../formats/user.ts'
import type { Mint } from '../../mint/mint.ts'
import { callerOf } from '../guard.ts'
import { sendToken } from '../token-reply.ts'

const reply = z.object({ token: z.string(), expiresAt: z.int().min(0).describe('Unix seconds.') })

// A token is base64url and dots: nothing in it is to be escaped, so that nobody has to look for it.
function writeToken({ token, expiresAt }: z.output<typeof reply>): string {
  return `{"token":"${token}","expiresAt":${expiresAt.toFixed()}}`
}

/** `POST /auth/token`: a token that identifies a user (WIRE 1). */
export async function userTokens(app: FastifyInstance, { mint }: { mint: Mint }): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/auth/token',
    {
      config: { format: user.name },
      schema: {
        tags: ['Tokens'],
        summary: 'Mint a user token',
        body: user.request,
        response: { 200: reply },
      },
      serializerCompiler: () => writeToken,
    },
    async (request, response) => {
      const issued = await mint.issue(user, request.body, callerOf(request))
      return sendToken(response, issued, { token: issued.token, expiresAt: issued.expiresAt })
    },
  )
}
