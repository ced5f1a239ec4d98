import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { LONGEST_NAME } from '../../domain/environment.ts'
import { JetonError } from '../../domain/errors.ts'
import { MOST_GRACE_SECONDS } from '../../domain/key-life.ts'
import { accessSchema } from '../../formats/access.ts'
import { seconds, text } from '../../formats/fields.ts'
import { grantSchema } from '../../formats/grant.ts'
import type { MadeKey } from '../../keys/api-keys.ts'
import type { KeyLives } from '../../keys/key-lives.ts'
import type { ApiKey, Store } from '../../store/store.ts'
import { optionalBody, pageLimit, repeatableCall, showKey } from '../admin.ts'

const byId = z.object({ id: z.string() })
const graceSeconds = seconds(0, MOST_GRACE_SECONDS).default(0)
const tokens = z.boolean().default(false).describe('Whether its tokens of so far end as well.')

/** 9999-12-31T23:59:59Z, the last second that is written with four digits of a year. */
const LAST_MOMENT = 253_402_300_799

/** Unix seconds from the caller, milliseconds inside. */
const moment = seconds(0, LAST_MOMENT).transform((value) => value * 1000)

const name = text(1, LONGEST_NAME)

const newKey = z.strictObject({
  kind: z.enum(['secret', 'publishable'], 'must be secret or publishable'),
  name: name.optional().describe('No other living key of the environment has it.'),
  grant: grantSchema.optional().describe('The ceiling of a secret key.'),
  access: accessSchema.optional().describe('What a publishable key lets its holder do.'),
  expiresAt: moment.optional().describe('Unix seconds.'),
  localSigning: z
    .boolean()
    .optional()
    .describe('Lets the holder of a secret key sign channels tokens by itself, with `kid` the key’s id.'),
})

const changedKey = z.strictObject({
  name: takenAway(name),
  grant: takenAway(grantSchema),
  access: takenAway(accessSchema),
  expiresAt: takenAway(moment),
})

const rotation = optionalBody(z.strictObject({ graceSeconds }))
const leak = optionalBody(
  z.strictObject({
    action: z.enum(['revoke', 'rotate'], 'must be revoke or rotate').default('revoke'),
    graceSeconds,
    tokens,
  }),
)
const revocation = optionalBody(z.strictObject({ tokens }))

// The place of a key in the order of a list: opaque for the caller.
const cursor = z
  .string()
  .regex(/^\d{1,15}\.kid_[0-9a-z]{16}$/, 'must be a nextCursor that was given')
  .transform((value) => {
    const [createdAt = '', id = ''] = value.split('.')
    return { createdAt: Number(createdAt), id }
  })

const page = z.strictObject({ cursor: cursor.optional(), limit: pageLimit })

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
    { schema: { tags, summary: 'List keys, ended ones included', params: byId, querystring: page } },
    async ({ params, query }) => {
      if ((await store.findEnvironment(params.id)) === undefined) {
        throw new JetonError('not_found', 'There is no such environment.')
      }
      const { cursor: after, limit } = query
      const found = await store.listApiKeys(params.id, { after, limit: limit + 1 })
      const shown = found.slice(0, limit)
      return {
        keys: shown.map((key) => showKey(key, now())),
        nextCursor: found.length > limit ? cursorOf(shown.at(-1)) : null,
      }
    },
  )

  routes.get(
    '/v1/keys/:id',
    { schema: { tags, summary: 'Show a key', params: byId } },
    async ({ params }) => {
      const key = await store.findApiKey(params.id)
      if (key === undefined) throw new JetonError('not_found', 'There is no such key.')
      return { key: showKey(key, now()) }
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
    { schema: { tags, summary: 'End a key at once', params: byId, body: revocation } },
    async ({ params, body }) => {
      const key = await keyLives.revoke(params.id, body)
      await refresh()
      return { key: showKey(key, now()) }
    },
  )

  routes.post(
    '/v1/keys/:id/report-leak',
    { schema: { tags, summary: 'Revoke a leaked key, or rotate it with grace', params: byId, body: leak } },
    async (request) => {
      const { params, body } = request
      const { key, successor } = await keyLives.reportLeak(params.id, body, repeatableCall(request))
      await refresh()
      return { key: showKey(key, now()), successor: successor === undefined ? null : show(successor) }
    },
  )
}

function cursorOf(key: ApiKey | undefined): string | null {
  return key === undefined ? null : `${key.createdAt}.${key.id}`
}

// `null` takes a member away; one that is left out stays as it is.
function takenAway<Schema extends z.ZodType>(schema: Schema) {
  return schema
    .nullable()
    .transform((value) => value ?? undefined)
    .optional()
}
