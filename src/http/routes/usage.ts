import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import type { Store } from '../../store/store.ts'
import { reportUsage, showUsage } from '../../usage/report.ts'
import { MINUTES_KEPT_DAYS, STEP_NAMES, wholeSteps } from '../../usage/span.ts'
import type { Usage } from '../../usage/usage.ts'

const byId = z.object({ id: z.string() })

const UNIX_SECONDS = /^\d{1,10}$/
const dateTime = z.iso.datetime({ offset: true })

/** What a description shows of a moment has to stand with the text: of what is made of it, it would be lost. */
const momentText = z.string().meta({ examples: ['2026-11-22T12:00:00Z'] })

/** Unix seconds or ISO 8601 with its offset, as unix milliseconds. */
const moment = momentText.transform((text, context) => {
  if (UNIX_SECONDS.test(text)) return Number(text) * 1000
  if (text.length <= 40 && dateTime.safeParse(text).success) return Date.parse(text)
  context.addIssue('must be unix seconds, or a moment like 2026-11-22T12:00:00Z')
  return z.NEVER
})

const question = z.strictObject({
  from: moment.optional().describe('The first moment: unix seconds or ISO 8601.'),
  to: moment.optional().describe('The first moment after it; now when it is left out.'),
  step: z
    .enum(STEP_NAMES, `must be one of ${STEP_NAMES.join(', ')}`)
    .default('hour')
    .describe(`In UTC. Minutes are kept for ${MINUTES_KEPT_DAYS} days.`),
  key: z
    .string()
    .min(1, 'must not be empty')
    .max(64, 'must be at most 64 characters')
    .optional()
    .describe('Of this key alone.')
    .meta({ examples: ['kid_4ktnvt6maw120nms'] }),
})

interface UsageRoutes {
  readonly usage: Pick<Usage, 'catchUp'>
  readonly store: Pick<Store, 'findEnvironment' | 'usage'>
  /** Unix milliseconds. */
  readonly now: () => number
}

/** `GET /v1/environments/{id}/usage`: what was issued and refused, by step of time. For the admin key. */
export async function usageRoutes(app: FastifyInstance, { usage, store, now }: UsageRoutes): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/v1/environments/:id/usage',
    {
      schema: {
        tags: ['Environments'],
        summary: 'Count issued tokens, refusals and subjects',
        params: byId,
        querystring: question,
      },
    },
    async ({ params, query: { from, to, step, key: keyId } }) => {
      const environment = await store.findEnvironment(params.id)
      if (environment === undefined) throw new JetonError('not_found', 'There is no such environment.')
      const span = wholeSteps({ from, to, step }, now())
      const asked = { environmentId: environment.id, keyId, step, ...span }
      await usage.catchUp()
      return showUsage(asked, await reportUsage(store, asked))
    },
  )
}
