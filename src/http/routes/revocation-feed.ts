import { Readable } from 'node:stream'
import { setImmediate as freeTheLoop } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { z } from 'zod'
import { entryOf, feedSchema } from '../../formats/revocation-feed.ts'
import type { Feed, FeedStanding, Revocations } from '../../gate/revocations.ts'
import { isMatched } from '../entity-tags.ts'
import { callerOf } from '../guard.ts'

/** Longer than this no reader waits: proxies cut what is silent for a minute. */
const LONGEST_WAIT_SECONDS = 30

/** Entries that are written to the answer at once: few enough to leave the event loop free in between. */
const ENTRIES_PER_CHUNK = 500

const query = z.strictObject({
  since: z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .default(0)
    .describe('The version that the reader knows.'),
  wait: z
    .string()
    .regex(/^\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .refine((seconds) => seconds <= LONGEST_WAIT_SECONDS, `must be at most ${LONGEST_WAIT_SECONDS}`)
    .default(0)
    .describe('How long to wait for something new, in seconds.'),
})

interface FeedOptions {
  readonly revocations: Revocations
  /** Aborted when the process begins to shut down: nobody waits any longer then. */
  readonly draining: AbortSignal
}

/** `GET /v1/revocations`: what verifiers that judge by themselves follow, with a long poll if they like (WIRE 5). */
export async function revocationFeed(
  app: FastifyInstance,
  { revocations, draining }: FeedOptions,
): Promise<void> {
  app.get<{ Querystring: z.output<typeof query> }>(
    '/v1/revocations',
    {
      schema: {
        tags: ['Gate'],
        summary: 'Follow what was revoked',
        querystring: query,
        response: { 200: feedSchema },
      },
    },
    async (request, reply) => {
      const { since, wait } = request.query
      const { id } = callerOf(request).environment
      const held = request.headers['if-none-match']
      // The entries themselves are looked up for those alone that have to learn of some: there may be very many.
      const isKnown = (found: FeedStanding) =>
        held === undefined ? found.version === since : isMatched(held, entityTag(found))
      if (wait > 0 && isKnown(revocations.standing(id))) {
        await revocations.next(id, AbortSignal.any([draining, patience(reply, wait)]))
      }
      const tag = entityTag(revocations.standing(id))
      reply.header('Cache-Control', 'private, no-cache').header('ETag', tag)
      if (isMatched(held, tag)) return reply.code(304).send()
      return reply.type('application/json').send(Readable.from(write(id, revocations.since(id, since))))
    },
  )
}

/** Weak, since entries that are over leave it as it is (RFC 9110 §8.8.1). */
function entityTag({ version, archived }: FeedStanding): string {
  return `W/"${version}${archived ? '-archived' : ''}"`
}

/** Aborted when the reader has waited long enough, or has gone. */
function patience(reply: FastifyReply, seconds: number): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return AbortSignal.any([gone.signal, AbortSignal.timeout(seconds * 1000)])
}

async function* write(
  environmentId: string,
  { version, snapshot, archived, revocations }: Feed,
): AsyncGenerator<string> {
  yield `{"environmentId":${JSON.stringify(environmentId)},"version":${version},"snapshot":${snapshot},${archived ? '"archived":true,' : ''}"entries":[`
  for (let from = 0; from < revocations.length; from += ENTRIES_PER_CHUNK) {
    const chunk = revocations.slice(from, from + ENTRIES_PER_CHUNK).map((one) => JSON.stringify(entryOf(one)))
    yield `${from === 0 ? '' : ','}${chunk.join(',')}`
    // A socket that takes all at once asks for the next without a turn of the event loop in between.
    await freeTheLoop()
  }
  yield ']}'
}
