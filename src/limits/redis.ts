import { hash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import { COUNT_SCRIPT } from './count-script.ts'
import type { Count, CountState, Decision, Limiter } from './limiter.ts'
import { stateOf } from './memory.ts'
import { SilenceError, wordOf } from './redis-faults.ts'

/** How long Redis may take to count one request. */
export const ANSWER_WITHIN_MS = 100

/** A count of nobody's, to try whether Redis counts. It writes: one that is full or a replica still answers reads. */
export const TRIAL: readonly Count[] = [
  { policy: 'key', id: 'trial', limit: { count: 1_000_000, windowSeconds: 1 } },
]

const SCRIPT_SHA1 = hash('sha1', COUNT_SCRIPT)
const VALUES_EACH = 3
const reply = z.array(z.int())

interface RedisLimiterDeps {
  readonly client: Pick<Redis, 'eval' | 'evalsha'>
  /** Whole microseconds in place of Redis's own clock, for tests that drive it. */
  readonly microseconds?: () => number
}

/**
 * A limiter over any number of processes. One round trip counts a request, by the clock of Redis alone.
 *
 * `take` rejects when Redis does not count: when it is away, refuses, or has not answered in time. It may have counted
 * then all the same. Nothing is sent twice.
 */
export function createRedisLimiter({ client, microseconds }: RedisLimiterDeps): Limiter {
  return { take }

  async function take(counts: readonly Count[]): Promise<Decision> {
    const keys = counts.map(keyOf)
    const values = counts.flatMap(({ policy, limit }) => [
      policy,
      limit.count,
      limit.windowSeconds * 1_000_000,
    ])
    const clock = microseconds === undefined ? '' : `${microseconds()}`
    const answer = reply.parse(await inTime(run([...keys, clock, ...values], keys.length)))
    return decisionOf(counts, answer)
  }

  // Redis forgets scripts when it restarts. Then it says so and has counted nothing, so that this is no repetition.
  async function run(args: readonly (string | number)[], keys: number): Promise<unknown> {
    try {
      return await client.evalsha(SCRIPT_SHA1, keys, ...args)
    } catch (error) {
      if (wordOf(error) !== 'NOSCRIPT') throw error
      return await client.eval(COUNT_SCRIPT, keys, ...args)
    }
  }
}

// The digest bounds the key's length, and keeps the subject's name out of what Redis shows. How many the limit allows
// is no part of it, so that a changed limit forgets nothing.
function keyOf({ policy, id, limit }: Count): string {
  return `jeton:${policy}:${limit.windowSeconds}:${hash('sha256', id, 'base64url')}`
}

function decisionOf(counts: readonly Count[], answer: readonly number[]): Decision {
  const states: CountState[] = []
  for (const [index, count] of counts.entries()) {
    const at = index * VALUES_EACH
    const [allowed, remaining, resetMicroseconds] = answer.slice(at, at + VALUES_EACH)
    if (allowed === undefined || remaining === undefined || resetMicroseconds === undefined) {
      throw new RangeError('Redis answered for fewer counts than were asked')
    }
    const taken = { allowed: allowed === 1, remaining, resetMs: resetMicroseconds / 1000 }
    states.push(stateOf(count, taken))
    if (!taken.allowed) return { allowed: false, states, refusedBy: states.at(-1) }
  }
  return { allowed: true, states, refusedBy: undefined }
}

// When this process was held up itself, the answer may lie in the socket already. Timers come before it is read,
// immediates after.
function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new SilenceError())), ANSWER_WITHIN_MS)
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
