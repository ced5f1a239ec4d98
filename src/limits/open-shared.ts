import type { Seams } from '../seams.ts'
import { createMemoryLimiter } from './memory.ts'
import { createRedisLimiter, TRIAL } from './redis.ts'
import { createRedisConnection, type RedisConnection } from './redis-client.ts'
import { faultOf, RedisError, reasonOf } from './redis-faults.ts'
import { createSharedLimiter, type SharedLimiter, type SharedLimiterLog } from './shared.ts'

interface OpenSharedLimiterDeps {
  readonly redisUrl: string
  readonly seams: Pick<Seams, 'monotonic' | 'random'>
  readonly log: SharedLimiterLog
}

/**
 * Opens the limiter that counts in Redis. A Redis that is away holds nothing up for more than about a second: this
 * process then begins by itself.
 *
 * @throws RedisError when the URL or the server must be mended
 */
export async function openSharedLimiter({
  redisUrl,
  seams,
  log,
}: OpenSharedLimiterDeps): Promise<SharedLimiter> {
  const connection = createRedisConnection(redisUrl)
  const { evicts, failure } = await meet(connection)
  const fault = faultOf(failure)
  if (fault !== undefined) {
    connection.close()
    throw new RedisError(`The ${nameOf(redisUrl)} cannot be used: ${fault}.`)
  }
  if (evicts !== undefined) log.warn({ policy: evicts }, 'Redis may drop counts before their time')
  const redis = createRedisLimiter(connection)
  return createSharedLimiter({ redis, local: createMemoryLimiter(seams), connection, log, failure })
}

/** What a look at Redis found, in the shape of doctor's checks. */
export interface RedisCheck {
  readonly state: 'ok' | 'mend'
  readonly what: string
  /** How to mend it. */
  readonly how?: string
}

/** Looks at the Redis of a URL as a start does. It leaves nothing but a count of its own, for two seconds. */
export async function examineRedis(redisUrl: string): Promise<readonly RedisCheck[]> {
  const connection = createRedisConnection(redisUrl)
  const { evicts, failure } = await meet(connection)
  connection.close()
  const name = `the ${nameOf(redisUrl)}`
  if (failure !== undefined) {
    const what = `${name} does not count limits: ${faultOf(failure) ?? reasonOf(failure)}`
    return [
      { state: 'mend', what, how: 'start it, or change REDIS_URL; until then each Jeton counts by itself' },
    ]
  }
  const counts = { state: 'ok', what: `${name} counts limits` } as const
  if (evicts === undefined) return [counts]
  const what = `${name} may drop counts before their time: its maxmemory-policy is ${evicts}`
  return [counts, { state: 'mend', what, how: 'set maxmemory-policy noeviction' }]
}

interface Met {
  /** The policy by which Redis drops what is not due yet, if it has one. */
  readonly evicts?: string | undefined
  readonly failure?: unknown
}

async function meet(connection: RedisConnection): Promise<Met> {
  try {
    await connection.connect()
    await createRedisLimiter(connection).take(TRIAL)
    return { evicts: await evictionOf(connection.client) }
  } catch (failure) {
    return { failure }
  }
}

// A user that may not ask for it is no reason not to begin.
async function evictionOf(client: RedisConnection['client']): Promise<string | undefined> {
  const memory = await client.info('memory').catch(() => '')
  const [, most = '0'] = /^maxmemory:(\d+)/m.exec(memory) ?? []
  const [, policy = 'noeviction'] = /^maxmemory_policy:(\S+)/m.exec(memory) ?? []
  return most === '0' || policy === 'noeviction' ? undefined : policy
}

// Without the password.
function nameOf(redisUrl: string): string {
  return `Redis of REDIS_URL (${new URL(redisUrl).host})`
}
