import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Count, Limiter } from '../../src/limits/limiter.ts'
import { createRedisLimiter } from '../../src/limits/redis.ts'
import { connectRedis, redisLimiters, redisOnce, withoutRedis } from '../helpers/redis.ts'
import { inFull } from '../helpers/scale.ts'
import { limiterContract } from './contract.ts'

const START_MICROSECONDS = Date.UTC(2026, 10, 22, 12) * 1_000

function subject(count: number, windowSeconds: number): Count {
  return { policy: 'subject', id: 'a', limit: { count, windowSeconds } }
}

function key(count: number, windowSeconds: number): Count {
  return { policy: 'key', id: 'k', limit: { count, windowSeconds } }
}

/** Asks again and again for so long, and gives the moments that may have been when each one was counted. */
async function takeFor(limiter: Limiter, count: Count, ms: number) {
  const taken: { sentAt: number; answeredAt: number }[] = []
  const until = performance.now() + ms
  while (performance.now() < until) {
    const sentAt = performance.now()
    if ((await limiter.take([count])).allowed) taken.push({ sentAt, answeredAt: performance.now() })
  }
  return taken
}

describe('in Redis', { skip: withoutRedis }, () => {
  const url = redisOnce()

  /** A limiter whose script is told the time. All else is what production does. */
  async function driven(t: TestContext) {
    let microseconds = START_MICROSECONDS
    const [limiter] = await redisLimiters(t, url(), 1, () => microseconds)
    assert.ok(limiter)
    const advance = (ms: number) => {
      microseconds += ms * 1_000
    }
    return { limiter, advance }
  }

  limiterContract('in Redis', driven)

  describe('real time', () => {
    it('holds the limit in every interval over three processes that ask without a pause', async (t) => {
      const limiters = await redisLimiters(t, url(), 3)
      const LIMIT = 20
      const ms = inFull(20_000, 3_500)
      const all = await Promise.all(limiters.map((limiter) => takeFor(limiter, subject(LIMIT, 1), ms)))
      const taken = all.flat().toSorted((a, b) => a.answeredAt - b.answeredAt)
      assert.ok(taken.length >= 3 * LIMIT, `${taken.length}`)
      // Each was counted between sending and answer. Twenty-one of them lie within less than a second for certain when
      // even the earliest sending and the latest answer do.
      for (const [index, first] of taken.entries()) {
        const tooMany = taken.slice(index, index + LIMIT + 1)
        if (tooMany.length <= LIMIT) break
        const span =
          Math.max(...tooMany.map((one) => one.answeredAt)) - Math.min(...tooMany.map((one) => one.sentAt))
        assert.ok(span >= 1_000, `${LIMIT + 1} in ${span} ms from ${first.sentAt} on`)
      }
    })

    it('admits the limit and no more of 200 at once over three processes', async (t) => {
      const limiters = await redisLimiters(t, url(), 3)
      const counts = [subject(10, 60), key(1_000, 60)]
      const asked = Array.from({ length: 200 }, (_, index) => limiters[index % limiters.length]?.take(counts))
      const decisions = await Promise.all(asked)
      assert.equal(decisions.filter((decision) => decision?.allowed).length, 10)
      // The refused ones cost the key nothing.
      assert.equal((await limiters[0]?.take([key(1_000, 60)]))?.states[0]?.remaining, 989)
    })

    it('counts by the clock of Redis, whatever the clock of a process says', async (t) => {
      const limiters = await redisLimiters(t, url(), 2)
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
      for (const limiter of limiters) {
        t.mock.timers.setTime(Date.now() + 3_600_000)
        for (let taken = 0; taken < 5; taken += 1) {
          assert.equal((await limiter.take([subject(10, 60)])).allowed, true)
        }
      }
      t.mock.timers.setTime(Date.now() + 3_600_000)
      assert.equal((await limiters[0]?.take([subject(10, 60)]))?.refusedBy?.resetSeconds, 60)
    })
  })

  describe('what is kept there', () => {
    it('has no id in its name, and ends by itself', async (t) => {
      const { client } = await connectRedis(t, url())
      const id = `env_0123456789abcdef:alice@example.com-${t.name}`
      const counts: readonly Count[] = [
        { policy: 'subject', id, limit: { count: 10, windowSeconds: 3_599 } },
        { policy: 'key', id, limit: { count: 10, windowSeconds: 3_599 } },
      ]
      const limiter = createRedisLimiter({ client })
      await limiter.take(counts)
      const names = await client.keys('jeton:*:3599:*')
      assert.equal(names.length, 2)
      for (const name of names) {
        assert.match(name, /^jeton:(subject|key):3599:[A-Za-z0-9_-]{43}$/)
        const windows = name.startsWith('jeton:key') ? 2 : 1
        const left = await client.pttl(name)
        assert.ok(left > (windows * 3_599 - 60) * 1_000 && left <= (windows * 3_599 + 1) * 1_000, `${left}`)
      }
      await client.del(...names)
    })

    it('takes at most 450 bytes for a subject that has its ten', async (t) => {
      const { client } = await connectRedis(t, url())
      const limiter = createRedisLimiter({ client })
      const id = `${t.name} ${Math.random()}`
      const counts: readonly Count[] = [{ policy: 'subject', id, limit: { count: 10, windowSeconds: 3_598 } }]
      for (let taken = 0; taken < 12; taken += 1) await limiter.take(counts)
      const [name] = await client.keys('jeton:*:3598:*')
      const bytes = Number(await client.call('MEMORY', 'USAGE', `${name}`))
      // Beside it, about 80 for its place in the two tables of Redis.
      assert.ok(bytes > 0 && bytes <= 370, `${bytes} bytes`)
      await client.del(`${name}`)
    })

    it('is counted anew by one that has lost its memory, with one limit more', async (t) => {
      const { client } = await connectRedis(t, url())
      const [limiter] = await redisLimiters(t, url(), 1)
      await limiter?.take([subject(1, 3_597)])
      assert.equal((await limiter?.take([subject(1, 3_597)]))?.allowed, false)
      await client.del(...(await client.keys('jeton:*:3597:*')))
      assert.equal((await limiter?.take([subject(1, 3_597)]))?.allowed, true)
      assert.equal((await limiter?.take([subject(1, 3_597)]))?.allowed, false)
    })

    it('goes on when Redis has forgotten the script, and is counted once', async (t) => {
      const { client } = await connectRedis(t, url())
      const [limiter] = await redisLimiters(t, url(), 1)
      await limiter?.take([subject(10, 60)])
      await client.script('FLUSH')
      const decisions = await Promise.all([1, 2, 3].map(() => limiter?.take([subject(10, 60)])))
      assert.deepEqual(decisions.map((decision) => decision?.states[0]?.remaining).sort(), [6, 7, 8])
    })
  })

  describe('a clock that goes back', () => {
    for (const [name, backMs] of [
      ['by a moment', 5],
      ['by half a window', 30_000],
      ['by a day', 86_400_000],
    ] as const) {
      it(`${name} lets no subject have more, and holds it for one window at most`, async (t) => {
        const { limiter, advance } = await driven(t)
        for (let taken = 0; taken < 10; taken += 1) {
          assert.equal((await limiter.take([subject(10, 60)])).allowed, true)
          advance(1)
        }
        advance(-backMs)
        const refused = await limiter.take([subject(10, 60)])
        assert.equal(refused.allowed, false)
        assert.ok((refused.refusedBy?.resetSeconds ?? Number.POSITIVE_INFINITY) <= 60)
        advance(59_994)
        assert.equal((await limiter.take([subject(10, 60)])).allowed, false)
        advance(6)
        assert.equal((await limiter.take([subject(10, 60)])).allowed, true)
      })

      it(`${name} holds a key for two windows at most`, async (t) => {
        const { limiter, advance } = await driven(t)
        for (let taken = 0; taken < 10; taken += 1) await limiter.take([key(10, 60)])
        advance(-backMs)
        assert.equal((await limiter.take([key(10, 60)])).allowed, false)
        advance(120_000)
        assert.equal((await limiter.take([key(10, 60)])).states[0]?.remaining, 9)
      })
    }

    it('keeps more moments than one command of Redis may take', async (t) => {
      const { limiter, advance } = await driven(t)
      for (let part = 0; part < 5; part += 1) {
        await Promise.all(Array.from({ length: 500 }, () => limiter.take([subject(2_500, 60)])))
        advance(1)
      }
      advance(-1_000)
      assert.equal((await limiter.take([subject(2_500, 60)])).allowed, false)
      assert.equal((await limiter.take([subject(2_501, 60)])).states[0]?.remaining, 0)
    })
  })
})
