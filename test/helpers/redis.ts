import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import type { Limiter } from '../../src/limits/limiter.ts'
import { createRedisLimiter } from '../../src/limits/redis.ts'
import { createRedisConnection, type RedisConnection } from '../../src/limits/redis-client.ts'

const PROGRAM = 'redis-server'
const GIVEN_URL = process.env.TEST_REDIS_URL || undefined
const READY_WITHIN_MS = 20_000

// It ends a server and removes its folder when this process is gone, however that went: its standard input ends then.
const KEEPER = 'read -r _; kill -KILL "$1"; rm -rf "$2"'

const isInstalled = spawnSync(PROGRAM, ['--version']).error === undefined

/** Why suites that only need some Redis are skipped; `false` when they are not. Under CI none is. */
export const withoutRedis =
  GIVEN_URL === undefined && withoutRedisServer('neither TEST_REDIS_URL nor redis-server is here')

/** As `withoutRedis`, for what stops, starts or fills its Redis and so needs one of its own. */
export const withoutOwnRedis = withoutRedisServer('redis-server is not here')

function withoutRedisServer(reason: string): false | string {
  return !isInstalled && !process.env.CI && reason
}

/** A Redis of a test's own, on a free port of this machine, that keeps nothing on the disk. */
export interface RedisServer {
  readonly url: string
  /** Kills it: connections are refused from then on, and it has forgotten everything. */
  stop(): Promise<void>
  /** Starts it again, on the same port. */
  start(): Promise<void>
  /** Holds it where it stands: connections are made, and nothing is answered. */
  pause(): void
  resume(): void
  /** Sends one command over a connection of its own. */
  command(name: string, ...args: string[]): Promise<unknown>
}

/**
 * Starts a Redis that ends with the test, or with the file when `before` starts it.
 *
 * @param options as in redis.conf, such as `{ requirepass: 'secret' }`
 */
export async function startRedis(
  t: { after(end: () => Promise<void>): void },
  options: Readonly<Record<string, string>> = {},
): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-redis-'))
  const port = await freePort()
  const { requirepass } = options
  const url = `redis://${requirepass === undefined ? '' : `:${requirepass}@`}127.0.0.1:${port}`
  let child: ChildProcess | undefined
  let keeper: ChildProcess | undefined
  t.after(async () => {
    await stop()
    await rm(folder, { recursive: true, force: true })
  })
  await start()
  return { url, start, stop, command, pause: () => signal('SIGSTOP'), resume: () => signal('SIGCONT') }

  async function start(): Promise<void> {
    const settings = {
      port: `${port}`,
      bind: '127.0.0.1',
      dir: folder,
      save: '',
      appendonly: 'no',
      ...options,
    }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    const started = spawn(PROGRAM, args, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = started
    keeper = spawn('sh', ['-c', KEEPER, 'sh', `${started.pid}`, folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    keeper.unref()
    await isReady(started)
  }

  async function stop(): Promise<void> {
    if (child === undefined) return
    const ended = once(child, 'close')
    // First, so that it never ends another process that has this one's number by then.
    keeper?.kill('SIGKILL')
    // A process that is held ends by this signal too.
    child.kill('SIGKILL')
    child = undefined
    await ended
  }

  function signal(name: NodeJS.Signals): void {
    child?.kill(name)
  }

  async function command(name: string, ...args: string[]): Promise<unknown> {
    const client = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => null })
    try {
      return await client.call(name, ...args)
    } finally {
      client.disconnect()
    }
  }
}

/** One Redis for all tests of a file: the one that TEST_REDIS_URL names, or one of its own. */
export function redisOnce(): () => string {
  let url = GIVEN_URL
  const ending: (() => Promise<void>)[] = []
  before(async () => {
    url ??= (await startRedis({ after: (end) => ending.push(end) })).url
  })
  after(async () => {
    for (const end of ending) await end()
  })
  return () => {
    if (url === undefined) throw new Error('Redis is there once the tests run')
    return url
  }
}

/** A connection that is made by now and ends with the test. */
export async function connectRedis(t: TestContext, url: string): Promise<RedisConnection> {
  const connection = createRedisConnection(url)
  t.after(() => connection.close())
  await connection.connect()
  return connection
}

/**
 * Limiters over connections of their own, as processes have them, that share counts with each other and with nobody
 * else, whatever this Redis holds.
 */
export async function redisLimiters(
  t: TestContext,
  url: string,
  count: number,
  microseconds?: () => number,
): Promise<readonly Limiter[]> {
  const apart = randomUUID()
  return await Promise.all(Array.from({ length: count }, open))

  async function open(): Promise<Limiter> {
    const { client } = await connectRedis(t, url)
    const limiter = createRedisLimiter(microseconds === undefined ? { client } : { client, microseconds })
    return {
      take: (counts) => limiter.take(counts.map((one) => ({ ...one, id: `${apart}/${one.id}` }))),
    }
  }
}

async function isReady(child: ChildProcess): Promise<void> {
  let output = ''
  const patience = setTimeout(() => child.kill('SIGKILL'), READY_WITHIN_MS)
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk) => {
        output += chunk
        if (output.includes('Ready to accept connections')) resolve()
      })
      child.once('error', reject)
      child.once('close', () => reject(new Error(`Redis ended:\n${output}`)))
    })
  } finally {
    clearTimeout(patience)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('A socket of TCP has a port')
  return address.port
}
