import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { ADMIN } from '../helpers/admin.ts'
import { install, mint } from '../helpers/installation.ts'
import { runApart, startServer } from '../helpers/process.ts'
import { startRedis, withoutOwnRedis } from '../helpers/redis.ts'

const PASSWORD = 'canary-redis-password'
const READY_WITHIN_MS = 20_000

const readiness = z.object({ status: z.string(), checks: z.record(z.string(), z.string()) })
const SHARED = { status: 'ready', checks: { keys: 'fresh', limits: 'shared' } }
const LOCAL = { status: 'degraded', checks: { keys: 'fresh', limits: 'local' } }

/** Waits until /readyz says just this. */
async function isReady(url: string, expected: z.output<typeof readiness>): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS
  for (;;) {
    const reply = await fetch(`${url}/readyz`)
    assert.equal(reply.status, 200)
    const found = readiness.parse(await reply.json())
    if (JSON.stringify(found) === JSON.stringify(expected)) return
    assert.ok(performance.now() < until, `/readyz says ${JSON.stringify(found)}`)
  }
}

/** The samples about the limiter. */
async function samples(url: string): Promise<string[]> {
  const reply = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN}` } })
  return (await reply.text()).split('\n').filter((line) => /^jeton_limiter_(?:shared|fallbacks)/.test(line))
}

async function statuses(url: string, key: string, userId: string, requests: number): Promise<number[]> {
  const found: number[] = []
  for (let asked = 0; asked < requests; asked += 1) found.push((await mint(url, key, userId)).status)
  return found
}

describe('a server with Redis', { skip: withoutOwnRedis }, () => {
  it('limits over restarts of its own, through outages of Redis, and ends while Redis hangs', async (t) => {
    const redis = await startRedis(t, { requirepass: PASSWORD })
    const { DATA_DIR, secretKey } = await install(t)
    const env = { DATA_DIR, REDIS_URL: redis.url, RATE_LIMIT_SUBJECT: '2/1h', ADMIN_KEY: ADMIN }
    const first = await startServer(t, env)
    assert.deepEqual(await statuses(first.url, secretKey, 'alice', 3), [200, 200, 429])
    const { code } = await first.stop('SIGINT')
    assert.equal(code, 0)

    const { url, stop } = await startServer(t, env)
    await isReady(url, SHARED)
    assert.deepEqual(await statuses(url, secretKey, 'alice', 1), [429])
    assert.deepEqual(await samples(url), ['jeton_limiter_shared 1', 'jeton_limiter_fallbacks_total 0'])

    await redis.stop()
    assert.deepEqual(await statuses(url, secretKey, 'bob', 3), [200, 200, 429])
    await isReady(url, LOCAL)
    assert.deepEqual(await samples(url), ['jeton_limiter_shared 0', 'jeton_limiter_fallbacks_total 1'])

    await redis.start()
    await isReady(url, SHARED)
    assert.deepEqual(await statuses(url, secretKey, 'bob', 3), [200, 200, 429])

    redis.pause()
    assert.deepEqual(await statuses(url, secretKey, 'carol', 3), [200, 200, 429])
    const ended = await stop('SIGTERM')
    assert.equal(ended.code, 0)
    assert.equal(ended.stderr, '')
    const told = ended.stdout.split('\n').filter((line) => line.includes('Redis'))
    assert.equal(told.filter((line) => line.includes('"level":"warn"')).length, 2, told.join('\n'))
    assert.equal(told.filter((line) => line.includes('"level":"info"')).length, 1, told.join('\n'))
    assert.equal(ended.stdout.includes(PASSWORD), false)
  })

  it('does not start with a wrong password, and says so in one line', async (t) => {
    const redis = await startRedis(t, { requirepass: PASSWORD })
    const { DATA_DIR } = await install(t)
    const REDIS_URL = redis.url.replace(PASSWORD, 'wrong-canary')
    const { code, stdout, stderr } = await runApart('main.ts', [], { DATA_DIR, PORT: '0', REDIS_URL })
    assert.equal(code, 1)
    assert.match(
      stderr,
      /^The Redis of REDIS_URL \(127\.0\.0\.1:\d+\) cannot be used: it refuses the user name or the password\.\n$/,
    )
    assert.equal(`${stdout}${stderr}`.includes('canary'), false)
  })
})
