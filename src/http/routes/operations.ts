import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { JetonError } from '../../domain/errors.ts'
import type { Journal } from '../../journal/journal.ts'
import type { Follower } from '../../keys/follower.ts'
import type { Keyring } from '../../keys/keyring.ts'
import type { Sharing } from '../../limits/limiter.ts'

interface OperationsDeps {
  readonly follower: Follower
  readonly keyring: Keyring
  readonly journal: Journal
  readonly sharing: Sharing | undefined
  readonly isDraining: () => boolean
}

const live = z.object({ status: z.literal('ok') })
const ready = z.object({
  status: z.enum(['ready', 'degraded']),
  checks: z.object({
    keys: z.enum(['fresh', 'behind']).describe('How well this process knows the keys.'),
    limits: z
      .enum(['shared', 'local'])
      .optional()
      .describe(
        'Whether limits are counted in Redis, or in this process alone because Redis does not count.',
      ),
    signing: z
      .literal('somewhere')
      .optional()
      .describe('There when an environment has no key that may sign, while others have.'),
  }),
})

/** `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can mint. */
export async function operations(
  app: FastifyInstance,
  { follower, keyring, journal, sharing, isDraining }: OperationsDeps,
): Promise<void> {
  app.get(
    '/healthz',
    { schema: { tags: ['Operations'], summary: 'Is the process alive', response: { 200: live } } },
    async () => ({
      status: 'ok',
    }),
  )

  app.get(
    '/readyz',
    { schema: { tags: ['Operations'], summary: 'Can this process mint', response: { 200: ready } } },
    async () => {
      if (isDraining())
        throw new JetonError('shutting_down', 'This process is shutting down; others take over.')
      if (!journal.isAvailable()) throw new JetonError('journal_unavailable', 'Records cannot be written.')
      const keys = follower.knowledge()
      if (keys === 'stale')
        throw new JetonError('store_unavailable', 'The keys could not be read for too long.')
      const signing = keyring.canSign()
      if (signing === 'nowhere') {
        throw new JetonError('store_unavailable', 'No environment has a key that may sign.')
      }
      // Anything less than that is no reason to take this process, and all others with it, out of the balancer.
      const limits = sharing?.state()
      const isWhole = keys === 'fresh' && limits !== 'local' && signing === 'everywhere'
      const status = isWhole ? 'ready' : 'degraded'
      return { status, checks: { keys, limits, ...(signing === 'everywhere' ? {} : { signing }) } }
    },
  )
}
