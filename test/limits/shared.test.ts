import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import type { Count } from '../../src/limits/limiter.ts'
import { examineRedis, openSharedLimiter } from '../../src/limits/open-shared.ts'
import { ANSWER_WITHIN_MS } from '../../src/limits/redis.ts'
import { faultOf, RedisError, reasonOf } from '../../src/limits/redis-faults.ts'
import type { SharedLimiter } from '../../src/limits/shared.ts'
import { systemSeams } from '../../src/seams.ts'
import { connectRedis, type RedisServer, startRedis, withoutOwnRedis } from '../helpers/redis.ts'
import { answering, slowWay } from '../helpers/redis-answers.ts'

const PASSWORD = 'canary-password'
const LOST = 'Redis does not count; this process counts limits by itself'
const BACK = 'limits are counted in Redis again'

type Call = (command: string, ...args: string[]) => Promise<unknown>

interface Outage {
  /** What the log says of it. */
  readonly reason: RegExp
  /** How many more than before the outage Redis may give, once it is back, to one that had two of three. */
  readonly left: readonly number[]
  begin(call: Call): Promise<unknown>
  end(call: Call): Promise<unknown>
}

let ids = 0

/** A subject that nobody else has. */
function newSubject(count = 3): readonly Count[] {
  ids += 1
  return [{ policy: 'subject', id: `s${ids}`, limit: { count, windowSeconds: 600 } }]
}

/** Opens one process's limiter, with the lines that it logs. */
async function open(t: TestContext, redisUrl: string) {
  const lines: string[] = []
  const log = {
    info: (message: string) => lines.push(message),
    warn: (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`),
  }
  const limiter = await openSharedLimiter({ redisUrl, seams: systemSeams, log })
  t.after(() => limiter.close())
  return { limiter, lines }
}

async function hasState(limiter: SharedLimiter, state: 'shared' | 'local'): Promise<void> {
  const until = performance.now() + 20_000
  while (limiter.state() !== state) {
    assert.ok(performance.now() < until, `${state} in time`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** How many of these requests are allowed. */
async function allowedOf(
  limiter: SharedLimiter,
  counts: readonly Count[],
  requests: number,
): Promise<number> {
  let allowed = 0
  for (let asked = 0; asked < requests; asked += 1) {
    if ((await limiter.take(counts)).allowed) allowed += 1
  }
  return allowed
}

describe('limits that are shared', { skip: withoutOwnRedis }, () => {
  const ending: (() => Promise<void>)[] = []
  let server: RedisServer
  before(async () => {
    server = await startRedis({ after: (end) => ending.push(end) }, { requirepass: PASSWORD })
  })
  after(async () => {
    for (const end of ending) await end()
  })

  it('are one count over several processes', async (t) => {
    const { limiter: first, lines } = await open(t, server.url)
    const { limiter: second } = await open(t, server.url)
    const alice = newSubject(10)
    assert.equal((await allowedOf(first, alice, 6)) + (await allowedOf(second, alice, 6)), 10)
    assert.deepEqual([first.state(), first.fallbacks(), lines], ['shared', 0, []])
  })

  const outages: Record<string, Outage> = {
    'is killed': {
      reason: /ECONNREFUSED|ECONNRESET|EPIPE|not connected/,
      // It comes back without what it knew.
      left: [3],
      begin: () => server.stop(),
      end: () => server.start(),
    },
    hangs: {
      reason: /no answer in time/,
      // The one that had no answer may have been counted.
      left: [0, 1],
      begin: async () => server.pause(),
      end: async () => server.resume(),
    },
    'is full': {
      reason: /OOM/,
      left: [1],
      begin: (call) => call('CONFIG', 'SET', 'maxmemory', '1'),
      end: (call) => call('CONFIG', 'SET', 'maxmemory', '0'),
    },
    'becomes a replica': {
      reason: /READONLY/,
      left: [1],
      begin: (call) => call('REPLICAOF', '127.0.0.1', '1'),
      end: (call) => call('REPLICAOF', 'NO', 'ONE'),
    },
    'is given another password': {
      reason: /./,
      left: [1],
      async begin(call) {
        await call('CONFIG', 'SET', 'requirepass', 'another')
        await call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      },
      end: (call) => call('CONFIG', 'SET', 'requirepass', PASSWORD),
    },
  }

  for (const [name, { reason, left, begin, end }] of Object.entries(outages)) {
    it(`are each process's own while Redis ${name}, and are shared again after it`, async (t) => {
      const { client } = await connectRedis(t, server.url)
      const call: Call = (command, ...args) => client.call(command, ...args)
      const { limiter, lines } = await open(t, server.url)
      const alice = newSubject(3)
      assert.equal(await allowedOf(limiter, alice, 2), 2)
      await begin(call)
      try {
        // This process begins at zero, and lets no more through than the limit.
        assert.equal(await allowedOf(limiter, alice, 20), 3)
        await hasState(limiter, 'local')
        assert.equal(await isImmediate(limiter.take(newSubject())), true)
        assert.equal(limiter.fallbacks(), 1)
      } finally {
        await end(call)
      }
      await hasState(limiter, 'shared')
      const again = await allowedOf(limiter, alice, 20)
      assert.ok(left.includes(again), `${again} more`)
      assert.equal(limiter.state(), 'shared')
      assert.equal(lines.length, 2, lines.join('\n'))
      assert.equal(lines[0]?.startsWith(LOST), true)
      assert.match(lines[0] ?? '', reason)
      assert.equal(lines[1], BACK)
      assert.equal(lines.join().includes(PASSWORD), false)
    })
  }

  it('are each process’s own from the start when Redis is not there yet, and shared once it is', async (t) => {
    await server.stop()
    const { limiter, lines } = await open(t, server.url)
    assert.deepEqual([limiter.state(), limiter.fallbacks()], ['local', 1])
    assert.equal(await allowedOf(limiter, newSubject(3), 20), 3)
    await server.start()
    await hasState(limiter, 'shared')
    assert.deepEqual(lines, [`${LOST} {"reason":"ECONNREFUSED"}`, BACK])
  })

  it('do not wait for a Redis that takes longer than it may', async (t) => {
    const way = await slowWay(t, server.url)
    const { limiter, lines } = await open(t, way.url.replace('://', `://:${PASSWORD}@`))
    assert.equal(limiter.state(), 'shared')
    way.delay(3 * ANSWER_WITHIN_MS)
    assert.equal(await allowedOf(limiter, newSubject(3), 20), 3)
    assert.equal(limiter.state(), 'local')
    way.delay(0)
    await hasState(limiter, 'shared')
    assert.deepEqual(lines, [`${LOST} {"reason":"no answer in time"}`, BACK])
  })

  it('give at most one limit for each process and one of Redis, however often it comes and goes', async (t) => {
    const processes = [(await open(t, server.url)).limiter, (await open(t, server.url)).limiter]
    const alice = newSubject(3)
    const { client } = await connectRedis(t, server.url)
    let allowed = 0
    const ask = async () => {
      for (const limiter of processes) allowed += await allowedOf(limiter, alice, 5)
    }
    for (let round = 0; round < 2; round += 1) {
      await ask()
      await client.config('SET', 'maxmemory', '1')
      try {
        for (const limiter of processes) await hasState(limiter, 'local')
        await ask()
      } finally {
        await client.config('SET', 'maxmemory', '0')
      }
      for (const limiter of processes) await hasState(limiter, 'shared')
    }
    await ask()
    assert.equal(allowed, 3 * (processes.length + 1))
  })

  it('say so when Redis may drop counts early', async (t) => {
    const { client } = await connectRedis(t, server.url)
    await client.config('SET', 'maxmemory', '1gb')
    await client.config('SET', 'maxmemory-policy', 'volatile-lru')
    const { lines } = await open(t, server.url)
    const checks = await examineRedis(server.url)
    await client.config('SET', 'maxmemory-policy', 'noeviction')
    await client.config('SET', 'maxmemory', '0')
    assert.deepEqual(lines, ['Redis may drop counts before their time {"policy":"volatile-lru"}'])
    assert.deepEqual(
      checks.map(({ state }) => state),
      ['ok', 'mend'],
    )
    assert.deepEqual(
      (await examineRedis(server.url)).map(({ state }) => state),
      ['ok'],
    )
  })

  it('need no more than docs/operations.md permits their user', async (t) => {
    const documentation = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
    const rules = /^ACL SETUSER jeton (.+)$/m
      .exec(documentation)?.[1]
      ?.replace('PASSWORD', PASSWORD)
      .split(' ')
    assert.ok(rules)
    await server.command('ACL', 'SETUSER', 'jeton', ...rules)
    const { limiter, lines } = await open(t, server.url.replace('://', '://jeton'))
    assert.equal(await allowedOf(limiter, newSubject(3), 5), 3)
    assert.deepEqual([limiter.state(), lines], ['shared', []])
  })

  describe('are refused at the start', () => {
    const faults: Record<string, [() => string | Promise<string>, RegExp]> = {
      'with a wrong password': [
        () => server.url.replace(PASSWORD, 'wrong'),
        /refuses the user name or the password/,
      ],
      'without a password': [
        () => server.url.replace(`:${PASSWORD}@`, ''),
        /refuses the user name or the password/,
      ],
      'for a user that may not count': [forbiddenUser, /may not do what Jeton needs/],
      'for a database that is not there': [() => `${server.url}/9999`, /no such database/],
      'over TLS where there is none': [
        async () => (await fake(http)).replace('redis:', 'rediss:'),
        /TLS fails \(\w+\)/,
      ],
      'by a server of another kind': [() => fake(http), /is no Redis/],
      'by a server that says yes to everything': [() => fake(() => '+OK\r\n'), /is no Redis/],
      'by a Redis of long ago': [() => fake(ancient), /too old \(older than 6\)/],
      'by a Redis that is too old': [() => fake(() => hello('6.0.20', 'standalone')), /too old \(6\.0\.20\)/],
      'by a cluster': [() => fake(() => hello('7.2.4', 'cluster')), /a Redis Cluster/],
    }
    for (const [name, [url, expected]] of Object.entries(faults)) {
      it(name, async (t) => {
        const redisUrl = await url()
        const refused = await open(t, redisUrl).then(
          () => undefined,
          (error: unknown) => error,
        )
        assert.ok(refused instanceof RedisError)
        assert.match(refused.message, expected)
        assert.match(refused.message, /^The Redis of REDIS_URL \(127\.0\.0\.1:\d+\) cannot be used: .+\.$/)
        const [check, ...more] = await examineRedis(redisUrl)
        assert.deepEqual([check?.state, more], ['mend', []])
        assert.match(check?.what ?? '', expected)
        assert.equal(`${inspect(refused)}${JSON.stringify(check)}`.includes(PASSWORD), false)
      })
    }

    async function forbiddenUser(): Promise<string> {
      await server.command('ACL', 'SETUSER', 'guest', 'on', `>${PASSWORD}`, '~jeton:*', '+time')
      return server.url.replace('://', '://guest')
    }

    async function fake(answer: (word: string) => string): Promise<string> {
      const url = await answering({ after: (end) => ending.push(end) }, answer)
      return url.replace('://', `://:${PASSWORD}@`)
    }
  })
})

function http(): string {
  return 'HTTP/1.1 400 Bad Request\r\n\r\n'
}

/** A greeting of so old a server, which repeats what it was sent. */
function ancient(word: string): string {
  if (word !== 'HELLO') return '+OK\r\n'
  return `-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' '${PASSWORD}'\r\n`
}

function hello(version: string, mode: string): string {
  const words = ['server', 'redis', 'version', version, 'mode', mode]
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}

describe('what a failure of Redis is', () => {
  const coded = (code: string) => Object.assign(new Error(`${PASSWORD} somewhere`), { code })
  const cases: [string, Error, string, boolean][] = [
    ['a name that nobody knows', coded('ENOTFOUND'), 'ENOTFOUND', true],
    ['a name service that is away', coded('EAI_AGAIN'), 'EAI_AGAIN', false],
    ['a server that is away', coded('ECONNREFUSED'), 'ECONNREFUSED', false],
    ['a network that is away', coded('EHOSTUNREACH'), 'EHOSTUNREACH', false],
    ['a certificate of its own', coded('DEPTH_ZERO_SELF_SIGNED_CERT'), 'DEPTH_ZERO_SELF_SIGNED_CERT', true],
    ['a certificate that ended', coded('CERT_HAS_EXPIRED'), 'CERT_HAS_EXPIRED', true],
    ['a certificate of another', coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'ERR_TLS_CERT_ALTNAME_INVALID', true],
    [
      'a server that reads its file',
      new Error('LOADING Redis is loading the dataset in memory'),
      'LOADING',
      false,
    ],
    [
      'a script that fails',
      new Error(`ERR Error running script, ${PASSWORD}`),
      'ERR Error running script',
      false,
    ],
    ['a refusal of the password', new Error(`WRONGPASS ${PASSWORD}`), 'WRONGPASS', true],
  ]
  for (const [name, error, reason, lasts] of cases) {
    it(`${name} is told in few words, and ${lasts ? 'ends' : 'does not end'} a start`, () => {
      assert.equal(reasonOf(error), reason)
      assert.equal(faultOf(error) !== undefined, lasts)
    })
  }
})

/** Whether it is there before anything else can happen: nothing was waited for. */
async function isImmediate(decision: Promise<unknown> | unknown): Promise<boolean> {
  const later = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))
  return await Promise.race([Promise.resolve(decision).then(() => true), later])
}
