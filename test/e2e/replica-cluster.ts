import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { ADMIN } from '../helpers/admin.ts'
import { mint } from '../helpers/installation.ts'
import { eventually } from '../helpers/journal.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { type ServerProcess, startServer, temporaryFolder } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { type Call, type Replica, STEADY } from './replica-load.ts'
import type { Fault, Stretch } from './replica-verdicts.ts'

/** How long a replica goes on that cannot read the database. */
export const STALE_MS = 5_000

/** A machine that does much else may need longer for everything, and no promise is about that. */
const PATIENCE_MS = 30_000

/** A replica, with every process that it was. */
export interface Running extends Replica {
  readonly env: Record<string, string>
  readonly lives: { readonly server: ServerProcess; endedAt: number }[]
}

/** What was done to the servers. */
export interface Damage {
  readonly faults: Fault[]
  /** When Redis forgot everything. */
  readonly forgot: Stretch[]
}

/** Three servers on one PostgreSQL and one Redis, all of their own. The third one is a user of its own to PostgreSQL. */
export async function startCluster(t: TestContext) {
  const postgres = await startPostgres()
  t.after(postgres.end)
  const redis = await startRedis(t)
  await postgres.query("create role third superuser login password 'third'")
  const asThird = Object.assign(new URL(postgres.url), { username: 'third', password: 'third' }).href
  const start = async (name: string, databaseUrl: string): Promise<Running> => {
    const env = {
      DATA_DIR: await temporaryFolder(t),
      DATABASE_URL: databaseUrl,
      REDIS_URL: redis.url,
      MASTER_KEY: Buffer.alloc(32, 1).toString('base64'),
      ADMIN_KEY: ADMIN,
      PUBLIC_URL: 'http://localhost:3000',
      STALE_KEYS_SECONDS: `${STALE_MS / 1_000}`,
      RATE_LIMIT_KEY: '1000000/1m',
      RATE_LIMIT_AUTH_FAILURES: '1000000/1m',
    }
    const server = await startServer(t, env)
    return { name, url: server.url, env, lives: [{ server, endedAt: Number.POSITIVE_INFINITY }] }
  }
  const [one, two, three] = await Promise.all([
    start('one', postgres.url),
    start('two', postgres.url),
    start('three', asThird),
  ])
  return { postgres, redis, replicas: [one, two, three], one, two, three }
}

/** What is done to a cluster, each time until it is whole again. */
export function createFaults(
  t: TestContext,
  { postgres, redis, replicas, three }: Awaited<ReturnType<typeof startCluster>>,
  calls: readonly Call[],
) {
  const damage: Damage = { faults: [], forgot: [] }
  return { damage, kill, loseRedis, cutOff, loseDatabase, answered }

  /** Kills one with no warning, and starts it again once the others have gone on. */
  async function kill(replica: Running): Promise<void> {
    const from = Date.now()
    const life = replica.lives.at(-1)
    await life?.server.stop('SIGKILL')
    if (life !== undefined) life.endedAt = Date.now()
    await answered(replicas.filter((other) => other !== replica))
    const server = await startServer(t, replica.env)
    replica.url = server.url
    replica.lives.push({ server, endedAt: Number.POSITIVE_INFINITY })
    damage.faults.push({ what: 'killed', replica: replica.name, from, to: Date.now() })
    await answered(replicas)
  }

  async function loseRedis(): Promise<void> {
    const from = Date.now()
    await redis.stop()
    damage.forgot.push({ from, to: Date.now() })
    await untilReadiness(replicas, 'degraded')
    await answered(replicas)
    await redis.start()
    await untilReadiness(replicas, 'ready')
  }

  /** Cuts the third one off from PostgreSQL until it refuses: that lets it in no more, and ends what it has open. */
  async function cutOff(work: (cutAt: number) => Promise<void>): Promise<void> {
    const from = Date.now()
    await postgres.query('alter role third nologin')
    await postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'third'")
    const cutAt = Date.now()
    await work(cutAt)
    await untilReadiness([three], '503')
    await answered(replicas)
    await postgres.query('alter role third login')
    await untilReadiness(replicas, 'ready')
    damage.faults.push({ what: 'cut off', replica: three.name, from, to: Date.now() })
  }

  /** Crashes PostgreSQL, and starts it again once every replica refuses. */
  async function loseDatabase(): Promise<void> {
    const from = Date.now()
    await postgres.stop('immediate')
    await untilReadiness(replicas, '503')
    await answered(replicas)
    await postgres.start()
    await untilReadiness(replicas, 'ready')
    damage.faults.push({ what: 'database away', from, to: Date.now() })
  }

  /** Goes on until each of these has answered so many calls more of the steady client: five a second, however many others. */
  async function answered(some: readonly Replica[], count = 5): Promise<void> {
    const left = new Map(some.map(({ name }) => [name, count]))
    let seen = calls.length
    await eventually(
      () => {
        for (const { replica, by, what, status } of calls.slice(seen)) {
          if (what === 'mint' && by === STEADY && status !== undefined)
            left.set(replica, (left.get(replica) ?? 0) - 1)
        }
        seen = calls.length
        return some.every(({ name }) => (left.get(name) ?? 0) <= 0)
      },
      'the replicas answer',
      PATIENCE_MS,
    )
  }
}

async function untilReadiness(replicas: readonly Replica[], wanted: string): Promise<void> {
  await eventually(
    async () => {
      const found = await Promise.all(replicas.map(readinessOf))
      return found.every((one) => one === wanted)
    },
    `/readyz says ${wanted}`,
    PATIENCE_MS,
  )
}

async function readinessOf({ url }: Replica): Promise<string> {
  const reply = await fetch(`${url}/readyz`)
  const { status } = z.object({ status: z.string().or(z.number()) }).parse(await reply.json())
  return `${status}`
}

/** Waits until every replica mints with it. */
export async function untilKnown(replicas: readonly Replica[], key: string): Promise<void> {
  for (const { name, url } of replicas) {
    await eventually(
      async () => (await mint(url, key, `first-of-${name}`)).status === 200,
      'it is known',
      PATIENCE_MS,
    )
  }
}

/** Calls the admin API, which must say yes. */
export async function callAdmin<T>(
  schema: z.ZodType<T>,
  url: string,
  [method, path, body]: readonly [method: 'GET' | 'POST' | 'PATCH', path: string, body?: object],
): Promise<T> {
  const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' }
  const sending = body === undefined ? {} : { body: JSON.stringify(body) }
  const reply = await fetch(`${url}${path}`, { method, headers, ...sending })
  const answer = await reply.json()
  assert.ok(reply.ok, JSON.stringify(answer))
  return schema.parse(answer)
}
