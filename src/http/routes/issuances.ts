import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import type { RecentIssuances, RecordedIssuance } from '../../journal/recent.ts'
import type { Store } from '../../store/store.ts'
import { pageLimit } from '../admin.ts'

const byId = z.object({ id: z.string() })

/** A cursor names a place in the journal of each instance. */
const LONGEST_CURSOR = 8_192

const page = z.strictObject({ cursor: z.string().max(LONGEST_CURSOR).optional(), limit: pageLimit })

interface IssuanceRoutes {
  readonly recentIssuances: RecentIssuances
  readonly store: Pick<Store, 'findEnvironment'>
}

/** `GET /v1/environments/{id}/issuances`: what was issued, as the journals under DATA_DIR tell. For the admin key. */
export async function issuanceRoutes(
  app: FastifyInstance,
  { recentIssuances, store }: IssuanceRoutes,
): Promise<void> {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/v1/environments/:id/issuances',
    {
      schema: {
        tags: ['Environments'],
        summary: 'List issued tokens, the newest first',
        params: byId,
        querystring: page,
      },
    },
    async ({ params, query }) => {
      const environment = await store.findEnvironment(params.id)
      if (environment === undefined) throw new JetonError('not_found', 'There is no such environment.')
      const { cursor, limit } = query
      const { issuances, instances, nextCursor } = await recentIssuances.page(environment.id, limit, cursor)
      return { issuances: issuances.map(showIssuance), instances, nextCursor: nextCursor ?? null }
    },
  )
}

function showIssuance({ at, endUserAddress, userAgent, ...issuance }: RecordedIssuance) {
  return {
    ...issuance,
    endUserAddress: endUserAddress ?? null,
    userAgent: userAgent ?? null,
    issuedAt: Math.floor(Date.parse(at) / 1000),
  }
}
