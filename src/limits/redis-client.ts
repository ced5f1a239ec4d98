import { Redis } from 'ioredis'
import { z } from 'zod'
import { RedisError } from './redis-faults.ts'

/** How long a connection may take to be made, and each word of its greeting. */
const CONNECT_WITHIN_MS = 1_000
/** How long a connection that is given up may take to say goodbye. */
const GOODBYE_WITHIN_MS = 100
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500

/** The oldest that has all that the script needs and that a distribution still mends; Valkey says 7.2 or more. */
const OLDEST = [6, 2] as const

/** A connection to the Redis that a URL names, which is made anew by itself whenever it is lost. */
export interface RedisConnection {
  readonly client: Redis
  /**
   * Waits until the first attempt has come to an end.
   *
   * @throws what kept the connection from being made, or RedisError when the server cannot be used; it is tried again
   */
  connect(): Promise<void>
  /** Gives a living connection up for a new one, which may lead elsewhere. */
  renew(): void
  close(): void
}

/**
 * Opens a client that keeps no command for later and sends none twice: what cannot be sent at once fails at once, and
 * so does everything under way when the connection is lost.
 */
export function createRedisConnection(url: string): RedisConnection {
  // As it is normalised: the client looks for `rediss://` in small letters, and would do without TLS otherwise.
  const client = new Redis(new URL(url).href, {
    lazyConnect: true,
    connectionName: 'jeton',
    disableClientInfo: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_WITHIN_MS,
    commandTimeout: CONNECT_WITHIN_MS,
    disconnectTimeout: GOODBYE_WITHIN_MS,
    retryStrategy: (attempt) => Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS),
  })
  let lastError: Error | undefined
  // Without a listener the client would print the error, password and all.
  client.on('error', (error) => {
    lastError = error
  })

  return {
    client,
    async connect() {
      lastError = undefined
      try {
        await client.connect()
      } catch (error) {
        // It only says that the connection was closed.
        throw lastError ?? error
      }
      // A database that is not there is no reason to the client not to go on, in another one.
      if (lastError !== undefined) throw lastError
      await refuseUnfit(client)
    },
    renew() {
      if (client.status === 'ready') client.disconnect(true)
    },
    close() {
      client.disconnect()
    },
  }
}

// Names and values in turn.
const greeting = z.array(z.unknown()).transform((words, context) => {
  const [version, mode] = ['version', 'mode'].map((name) => words[words.indexOf(name) + 1])
  if (typeof version === 'string' && typeof mode === 'string') return { version, mode }
  context.addIssue('has no version or no mode')
  return z.NEVER
})

// HELLO tells both to any user, which INFO does not.
async function refuseUnfit(client: Redis): Promise<void> {
  const found = greeting.safeParse(await client.call('HELLO').catch(refuseAncient))
  if (!found.success) throw new RedisError('what answers there is no Redis')
  const { version, mode } = found.data
  if (isOlder(version)) throw tooOld(version)
  if (mode === 'cluster') throw new RedisError('it is a Redis Cluster, which Jeton does not work with')
}

function refuseAncient(error: unknown): never {
  throw error instanceof Error && /^ERR unknown command/.test(error.message) ? tooOld('older than 6') : error
}

function tooOld(version: string): RedisError {
  return new RedisError(
    `it is too old (${version}); Jeton needs Redis ${OLDEST.join('.')} or later, or Valkey`,
  )
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])
}
