import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { gateCodes } from '../../domain/verdict.ts'
import { askSchema } from '../../formats/ask.ts'
import type { Gate } from '../../gate/gate.ts'
import { callerOf } from '../guard.ts'
import { PRESENTATION_LIMIT_BYTES } from '../server-options.ts'

const presentation = z
  .strictObject({
    token: leftOut(z.string()).describe('The JWT, or `ek_` and the JWT.'),
    publishableKey: leftOut(z.string()).describe(
      'Alone, or beside a token: both must be of one environment.',
    ),
    origin: leftOut(z.string()).describe('The `Origin` that the browser sent.'),
    ask: leftOut(askSchema).describe(
      '`{action, channel}`, `{groupId, peerId}` or `{model}`. Left out: whether the holder may be here at all.',
    ),
  })
  .refine(({ token, publishableKey }) => token !== undefined || publishableKey !== undefined, {
    path: ['token'],
    error: 'is needed, or `publishableKey`',
  })
  .meta({ examples: [{ token: 'eyJ…', ask: { action: 'subscribe', channel: 'app_abc/room-1' } }] })

const checks = z
  .array(z.object({ check: z.string(), ok: z.boolean(), detail: z.string().optional() }))
  .readonly()

const decision = z.discriminatedUnion('allowed', [
  z.object({
    allowed: z.literal(true),
    format: z.string().nullable().describe('`null` for a publishable key alone.'),
    environmentId: z.string(),
    keyId: z
      .string()
      .describe('The key that minted or signed the token; the publishable key, if it came alone.'),
    subject: z.string().nullable(),
    expiresAt: z.int().nullable().describe('Unix seconds.'),
    maxSessionSeconds: z.int().optional().describe('How long a session that begins now may last.'),
    claims: z.record(z.string(), z.unknown()),
    checks,
  }),
  z.object({
    allowed: z.literal(false),
    code: z.enum(Object.keys(gateCodes)),
    closeCode: z.union([z.literal(4001), z.literal(4002), z.literal(4003)]),
    detail: z.string(),
    checks: checks.describe('Every rule that was tried, in order: the last one refused.'),
  }),
])

/** `POST /v1/verify`: whether who presented this may come in, and why not (DESIGN 8). A refusal is an answer, so 200. */
export async function verify(app: FastifyInstance, { gate }: { gate: Gate }): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/v1/verify',
    {
      bodyLimit: PRESENTATION_LIMIT_BYTES,
      schema: {
        tags: ['Gate'],
        summary: 'Decide about a token or a publishable key',
        body: presentation,
        response: { 200: decision },
      },
    },
    async (request, reply) => {
      // What it says holds for a moment: the next revocation may change it.
      reply.header('Cache-Control', 'no-store')
      return gate.verify(callerOf(request).environment, request.body)
    },
  )
}

// Servers pass on what a request may not have had, and many of them do so as null.
function leftOut<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined)
}
