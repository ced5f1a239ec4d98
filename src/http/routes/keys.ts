import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import { MOST_GRACE_SECONDS } from '../../domain/key-life.ts'
import { accessSchema } from '../../formats/access.ts'
import { seconds, text } from '../../formats/fields.ts'
import { grantSchema } from '../../formats/grant.ts'
import type { MadeKey } from '../../keys/api-keys.ts'
import type { KeyLives } from '../../keys/key-lives.ts'
import type { Store } from '../../store/store.ts'
import { repeatableCall, showKey } from '../admin.ts'

const byId = z.object({ id: z.string() })
const graceSeconds = seconds(0, MOST_GRACE_SECONDS).default(0)

/** Unix seconds from the caller, milliseconds inside. */
const moment = z
  .int('must be a whole number')
  .min(0)
  .transform((value) => value * 1000)

const newKey = z.strictObject({
  kind: z.enum(['secret', 'publishable'], 'must be secret or publishable'),
  name: text(1, 80).optional(),
  grant: grantSchema.optional().describe('The ceiling of a secret key.'),
  access: accessSchema.optional().describe('What a publishable key lets its holder do.'),
  expiresAt: moment.optional().describe('Unix seconds.'),
})

const changedKey = z.strictObject({
  name: takenAway(text(1, 80)),
  grant: takenAway(grantSchema),
  access: takenAway(accessSchema),
  expiresAt: takenAway(moment),
})

const rotation = z.strictObject({ graceSeconds }).prefault({})
const leak = z
  .strictObject({
    action: z.enum(['revoke', 'rotate'], 'must be revoke or rotate').default('revoke'),
    graceSeconds,
  })
  .prefault({})

interface KeyRoutes {
  readonly keyLives: KeyLives
  readonly store: Store
  readonly now: () => number
  readonly refresh: () => Promise<void>
}

/** `/v1/environments/{id}/keys…` and `/v1/keys…`: the whole life of secret and publishable keys. For the admin key. */
export async function keyRoutes(
  app: FastifyInstance,
  { keyLives, store, now, refresh }: KeyRoutes,
): Promise<void> {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const tags = ['Keys']
  const show = ({ row, text: key }: MadeKey) => ({
    key: showKey(row, now()),
    ...(row.kind === 'secret' ? { secretKey: key ?? null } : { publishableKey: key ?? null }),
  })

  routes.post(
    '/v1/environments/:id/keys',
    { schema: { tags, summary: 'Make a key', params: byId, body: newKey } },
    async (request, reply) => {
      const made = await keyLives.create(request.params.id, request.body, repeatableCall(request))
      await refresh()
      return reply.code(201).send(show(made))
    },
  )

  routes.get(
    '/v1/environments/:id/keys',
    { schema: { tags, summary: 'List keys, ended ones included', params: byId } },
    async ({ params }) => {
      if ((await store.findEnvironment(params.id)) === undefined) {
        throw new JetonError('not_found', 'There is no such environment.')
      }
      const keys = await store.listApiKeys(params.id)
      return { keys: keys.map((key) => showKey(key, now())) }
    },
  )

  routes.post(
    '/v1/environments/:id/keys/rotate',
    { schema: { tags, summary: 'Rotate the keys of the beginning', params: byId, body: rotation } },
    async (request, reply) => {
      const { params, body } = request
      const pair = await keyLives.rotatePair(params.id, body.graceSeconds, repeatableCall(request))
      await refresh()
      const { secret, publishable } = pair
      return reply.code(201).send({
        keyId: secret.row.id,
        secretKey: secret.text ?? null,
        publishableKey: publishable.text ?? null,
      })
    },
  )

  routes.patch(
    '/v1/keys/:id',
    { schema: { tags, summary: 'Change a key', params: byId, body: changedKey } },
    async ({ params, body }) => {
      const key = await keyLives.update(params.id, body)
      await refresh()
      return { key: showKey(key, now()) }
    },
  )

  routes.post(
    '/v1/keys/:id/rotate',
    { schema: { tags, summary: 'Put a new key in the place of one', params: byId, body: rotation } },
    async (request, reply) => {
      const { params, body } = request
      const made = await keyLives.rotate(params.id, body.graceSeconds, repeatableCall(request))
      await refresh()
      return reply.code(201).send(show(made))
    },
  )

  routes.post(
    '/v1/keys/:id/revoke',
    { schema: { tags, summary: 'End a key at once', params: byId } },
    async ({ params }) => {
      const key = await keyLives.revoke(params.id)
      await refresh()
      return { key: showKey(key, now()) }
    },
  )

  routes.post(
    '/v1/keys/:id/report-leak',
    { schema: { tags, summary: 'Revoke a leaked key, or rotate it with grace', params: byId, body: leak } },
    async (request) => {
      const { params, body } = request
      const { key, successor } = await keyLives.reportLeak(params.id, body)
      await refresh()
      return { key: showKey(key, now()), successor: successor === undefined ? null : show(successor) }
    },
  )
}

// `null` takes a member away; one that is left out stays as it is.
function takenAway<Schema extends z.ZodType>(schema: Schema) {
  return schema
    .nullable()
    .transform((value) => value ?? undefined)
    .optional()
}
