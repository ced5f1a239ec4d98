import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { DEFAULT_TAG, LONGEST_NAME } from '../../domain/environment.ts'
import { JetonError } from '../../domain/errors.ts'
import { environmentSettings } from '../../formats/environment-settings.ts'
import { text } from '../../formats/fields.ts'
import type { Environments } from '../../keys/environments.ts'
import type { Store } from '../../store/store.ts'
import { noBody, pageLimit, repeatableCall, showEnvironment } from '../admin.ts'

const byId = z.object({ id: z.string() })
const algorithm = z.enum(['HS256', 'EdDSA'], 'must be HS256 or EdDSA')

const newEnvironment = z.strictObject({
  name: text(1, LONGEST_NAME),
  tag: z.string().default(DEFAULT_TAG).describe('Stands in the text of its keys.'),
  signingAlgorithm: algorithm
    .optional()
    .describe('What signs all of its tokens; left out, each format’s own.'),
})

const changedEnvironment = z.strictObject({
  name: text(1, LONGEST_NAME).optional(),
  signingAlgorithm: algorithm.nullable().optional(),
  settings: environmentSettings.optional().describe('Takes the place of all settings before.'),
  turn: z
    .strictObject({ urls: z.array(z.string()), secret: z.string().describe('Kept sealed, never shown.') })
    .nullable()
    .optional(),
})

const cursor = z.string().regex(/^env_[0-9a-z]{16}$/, 'must be a nextCursor that was given')

const page = z.strictObject({ cursor: cursor.optional(), limit: pageLimit })

interface EnvironmentRoutes {
  readonly environments: Environments
  readonly store: Store
  /** Lets this process know at once; every other one learns of it within a second. */
  readonly refresh: () => Promise<void>
}

/** `/v1/environments…`: makes, shows, changes, archives and restores environments. For the admin key. */
export async function environmentRoutes(app: FastifyInstance, deps: EnvironmentRoutes): Promise<void> {
  const { environments, store, refresh } = deps
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const tags = ['Environments']

  routes.post(
    '/v1/environments',
    { schema: { tags, summary: 'Make an environment', body: newEnvironment } },
    async (request, reply) => {
      const { name, ...options } = request.body
      const call = repeatableCall(request)
      const made = call
        ? await environments.createOnce(name, options, call)
        : await environments.create(name, options)
      await refresh()
      const { environment, keyId, secretKey = null, publishableKey } = made
      return reply
        .code(201)
        .send({ environment: showEnvironment(environment), keyId, secretKey, publishableKey })
    },
  )

  routes.get(
    '/v1/environments',
    { schema: { tags, summary: 'List environments', querystring: page } },
    async ({ query }) => {
      const { cursor, limit } = query
      const found = await store.listEnvironments({ after: cursor, limit: limit + 1 })
      const shown = found.slice(0, limit)
      return {
        environments: shown.map(showEnvironment),
        nextCursor: found.length > limit ? shown.at(-1)?.id : null,
      }
    },
  )

  routes.get(
    '/v1/environments/:id',
    { schema: { tags, summary: 'Show an environment', params: byId } },
    async ({ params }) => {
      const environment = await store.findEnvironment(params.id)
      if (environment === undefined) throw new JetonError('not_found', 'There is no such environment.')
      return { environment: showEnvironment(environment) }
    },
  )

  routes.patch(
    '/v1/environments/:id',
    { schema: { tags, summary: 'Change an environment', params: byId, body: changedEnvironment } },
    async ({ params, body }) => {
      const environment = await environments.update(params.id, body)
      await refresh()
      return { environment: showEnvironment(environment) }
    },
  )

  for (const [action, archived] of [
    ['archive', true],
    ['restore', false],
  ] as const) {
    const summary = archived ? 'End an environment, keeping its data' : 'Bring an archived environment back'
    routes.post(
      `/v1/environments/:id/${action}`,
      { schema: { tags, summary, params: byId, body: noBody } },
      async ({ params }) => {
        const environment = await environments.update(params.id, { archived })
        await refresh()
        return { environment: showEnvironment(environment) }
      },
    )
  }
}
