import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Count, Limiter } from '../../src/limits/limiter.ts'
import { inFull } from '../helpers/scale.ts'

/** A limiter under test, and the clock that drives it. */
export interface LimiterUnderTest {
  readonly limiter: Limiter
  advance(ms: number): void
}

const WINDOW_SECONDS = 60

function subject(id: string, count = 10, windowSeconds = WINDOW_SECONDS): Count {
  return { policy: 'subject', id, limit: { count, windowSeconds } }
}

function key(id: string, count: number): Count {
  return { policy: 'key', id, limit: { count, windowSeconds: WINDOW_SECONDS } }
}

/** What every limiter promises, wherever it counts. */
export function limiterContract(name: string, open: (t: TestContext) => Promise<LimiterUnderTest>): void {
  describe(`the limiter ${name}`, () => {
    it('allows the limit, refuses the next, and allows again when the first has run out', async (t) => {
      const { limiter, advance } = await open(t)
      for (let taken = 1; taken <= 10; taken += 1) {
        const { allowed, states } = await limiter.take([subject('a')])
        assert.equal(allowed, true)
        assert.equal(states[0]?.remaining, 10 - taken)
        advance(1_000)
      }
      // The first was counted 10 s ago, so that it runs out in 50.
      const refused = await limiter.take([subject('a')])
      assert.equal(refused.allowed, false)
      assert.equal(refused.refusedBy?.resetSeconds, 50)
      advance(49_999)
      assert.equal((await limiter.take([subject('a')])).allowed, false)
      advance(1)
      assert.equal((await limiter.take([subject('a')])).allowed, true)
      assert.equal((await limiter.take([subject('a')])).allowed, false)
    })

    it('holds no more than the limit in any interval, at any pace', async (t) => {
      const { limiter, advance } = await open(t)
      const random = seeded(7)
      const allowedAt: number[] = []
      let now = 0
      for (let attempt = 0; attempt < inFull(4_000, 2_000); attempt += 1) {
        // Bursts, pauses, and now and then a step to just beside a window's edge.
        const step =
          attempt % 97 === 0 ? 59_999 : attempt % 89 === 0 ? 60_000 : Math.floor(random() ** 8 * 20_000)
        advance(step)
        now += step
        const alive = allowedAt.filter((at) => now - at < 60_000).length
        const { allowed } = await limiter.take([subject('a')])
        assert.equal(allowed, alive < 10, `attempt ${attempt} at ${now} with ${alive} alive`)
        if (allowed) allowedAt.push(now)
      }
    })

    it('counts each subject by itself', async (t) => {
      const { limiter } = await open(t)
      for (let taken = 0; taken < 10; taken += 1) await limiter.take([subject('a')])
      assert.equal((await limiter.take([subject('a')])).allowed, false)
      assert.equal((await limiter.take([subject('b')])).allowed, true)
    })

    it('admits the limit and no more of 200 at once', async (t) => {
      const { limiter } = await open(t)
      const decisions = await Promise.all(Array.from({ length: 200 }, () => limiter.take([subject('a')])))
      assert.equal(decisions.filter(({ allowed }) => allowed).length, 10)
    })

    it('counts a request in all of its counts or in none', async (t) => {
      const { limiter } = await open(t)
      assert.equal((await limiter.take([subject('a'), key('k', 1)])).allowed, true)
      const refused = await limiter.take([subject('a'), key('k', 1)])
      assert.equal(refused.refusedBy?.policy, 'key')
      // The refused one cost the subject nothing: nine are left.
      assert.equal((await limiter.take([subject('a')])).states[0]?.remaining, 8)
      for (let taken = 0; taken < 8; taken += 1) await limiter.take([subject('a')])
      assert.equal((await limiter.take([subject('a'), key('other', 1)])).refusedBy?.policy, 'subject')
      assert.equal((await limiter.take([key('other', 1)])).allowed, true)
    })

    it('keeps what was counted when the limit changes', async (t) => {
      const { limiter } = await open(t)
      for (let taken = 0; taken < 5; taken += 1) await limiter.take([subject('a')])
      assert.equal((await limiter.take([subject('a', 5)])).allowed, false)
      assert.equal((await limiter.take([subject('a', 100)])).states[0]?.remaining, 94)
    })

    it('holds large limits exactly too', async (t) => {
      const { limiter, advance } = await open(t)
      for (let taken = 0; taken < 1_000; taken += 1) {
        assert.equal((await limiter.take([subject('a', 1_000)])).allowed, true)
        advance(10)
      }
      assert.equal((await limiter.take([subject('a', 1_000)])).allowed, false)
      // Ten seconds' worth of the thousand run out in the ten seconds from 60 on.
      advance(50_000 + 9_990)
      let allowed = 0
      while ((await limiter.take([subject('a', 1_000)])).allowed) allowed += 1
      assert.equal(allowed, 1_000)
    })

    it('forgets no subject early, whatever crowd passes by', async (t) => {
      const { limiter, advance } = await open(t)
      for (let taken = 0; taken < 10; taken += 1) await limiter.take([subject('a')])
      const crowd = inFull(20_000, 4_000)
      for (let other = 0; other < crowd; other += 1) {
        advance(40_000 / crowd)
        await limiter.take([subject(`other-${other}`)])
      }
      advance(19_999)
      assert.equal((await limiter.take([subject('a')])).allowed, false)
      advance(1)
      assert.equal((await limiter.take([subject('a')])).allowed, true)
    })

    it('lets a key have its limit and not much more', async (t) => {
      const { limiter, advance } = await open(t)
      let allowed = 0
      for (let second = 0; second < 300; second += 1) {
        for (let burst = 0; burst < 20; burst += 1) {
          if ((await limiter.take([key('k', 100)])).allowed) allowed += 1
        }
        advance(1_000)
      }
      // Five windows of a hundred, give or take a tenth.
      assert.ok(allowed >= 450 && allowed <= 550, `${allowed}`)
    })

    it('does not say how long a window is for one count by what another one has', async (t) => {
      const { limiter, advance } = await open(t)
      for (let taken = 0; taken < 3; taken += 1) await limiter.take([subject('a', 3, 1)])
      assert.equal((await limiter.take([subject('a', 3, 1)])).refusedBy?.resetSeconds, 1)
      assert.equal((await limiter.take([subject('a', 3, 3_600)])).states[0]?.resetSeconds, 3_600)
      advance(1_000)
      assert.equal((await limiter.take([subject('a', 3, 1)])).allowed, true)
      assert.equal((await limiter.take([subject('a', 3, 3_600)])).states[0]?.resetSeconds, 3_599)
    })

    it('tells a key when to come again, truly', async (t) => {
      const { limiter, advance } = await open(t)
      for (let taken = 0; taken < 10; taken += 1) await limiter.take([key('k', 10)])
      const refused = await limiter.take([key('k', 10)])
      const seconds = refused.refusedBy?.resetSeconds ?? 0
      assert.ok(seconds > 0)
      advance(seconds * 1_000)
      assert.equal((await limiter.take([key('k', 10)])).allowed, true)
    })
  })
}

/** A generator that gives the same numbers every time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
