import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { formatNames, formats } from '../../formats/formats.ts'
import type { Environments } from '../../keys/environments.ts'
import type { Rotated, SigningKeyRotation } from '../../keys/signing-key-rotation.ts'
import { optionalBody, repeatableCall, showSigningKey } from '../admin.ts'

const byId = z.object({ id: z.string() })

const ALGORITHMS = ['EdDSA', 'HS256'] as const
const algorithm = z.enum(ALGORITHMS, 'must be HS256 or EdDSA')

const rotation = optionalBody(
  z.strictObject({
    algorithm: algorithm.optional().describe('Which of the environment’s own keys; both when left out.'),
    immediately: z
      .boolean()
      .default(false)
      .describe('For an emergency: sign with it at once. Verifiers may refuse new tokens for minutes.'),
  }),
)

const rollBack = z.strictObject({ algorithm })

const importedKey = z.strictObject({
  kid: z.string().describe('What the tokens name it by.'),
  format: z
    .enum(formatNames, `must be one of ${formatNames.join(', ')}`)
    .transform((asked) => {
      const format = formats.find(({ name }) => name === asked)
      if (format === undefined) return z.NEVER
      const { name, algorithm } = format
      return { name, algorithm }
    })
    .describe('Whose tokens it signs.'),
  secret: z
    .string()
    .describe(
      'An HS256 secret as it stands, or for formats with EdDSA an Ed25519 seed as sk_ and 64 hex digits.',
    ),
})

interface SigningKeyRoutes {
  readonly environments: Environments
  readonly signingKeyRotation: SigningKeyRotation
  readonly now: () => number
  /** Lets this process know at once; every other one learns of it within a second. */
  readonly refresh: () => Promise<void>
}

/** `/v1/environments/{id}/signing-keys…`: what signs an environment's tokens, and never its secrets. For the admin key. */
export async function signingKeyRoutes(
  app: FastifyInstance,
  { environments, signingKeyRotation, now, refresh }: SigningKeyRoutes,
): Promise<void> {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const tags = ['Signing keys']
  const path = '/v1/environments/:id/signing-keys'
  const show = ({ key, changed }: Rotated) => ({ ...showSigningKey(key, now()), changed })

  routes.get(
    path,
    { schema: { tags, summary: 'List signing keys, those that are gone included', params: byId } },
    async ({ params }) => {
      const keys = await signingKeyRotation.list(params.id)
      return { signingKeys: keys.map((key) => showSigningKey(key, now())) }
    },
  )

  routes.post(
    `${path}/rotate`,
    { schema: { tags, summary: 'Make a successor of what signs', params: byId, body: rotation } },
    async (request, reply) => {
      const { params, body } = request
      const algorithms = body.algorithm === undefined ? ALGORITHMS : [body.algorithm]
      const options = { immediately: body.immediately, call: repeatableCall(request) }
      const rotated = await signingKeyRotation.rotateAll(params.id, algorithms, options)
      await refresh()
      return reply.code(201).send({ signingKeys: rotated.map(show) })
    },
  )

  routes.post(
    `${path}/roll-back`,
    { schema: { tags, summary: 'Sign with the key of before again', params: byId, body: rollBack } },
    async ({ params, body }) => {
      const rotated = await signingKeyRotation.rollBack(params.id, body.algorithm)
      await refresh()
      return { signingKey: show(rotated) }
    },
  )

  routes.post(
    `${path}/import`,
    { schema: { tags, summary: 'Take in a key that signs elsewhere', params: byId, body: importedKey } },
    async (request, reply) => {
      const { kid, format, secret } = request.body
      const identity = { environmentId: request.params.id, kid, format }
      const key = await environments.importSigningKey(identity, secret, repeatableCall(request))
      await refresh()
      return reply.code(201).send({ signingKey: showSigningKey(key, now()) })
    },
  )
}
