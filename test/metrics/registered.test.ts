import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFollower } from '../../src/keys/follower.ts'
import { createMemoryLimiter } from '../../src/limits/memory.ts'
import { createSharedLimiter } from '../../src/limits/shared.ts'
import { registerEventLoopMetrics } from '../../src/metrics/event-loop-metrics.ts'
import { registerDecisionMetrics, registerLimiterMetrics } from '../../src/metrics/limiter-metrics.ts'
import { Registry } from '../../src/metrics/prom-client.ts'
import { registerStoreMetrics } from '../../src/metrics/store-metrics.ts'
import { registerTokenMetrics } from '../../src/metrics/token-metrics.ts'
import { samplesOf } from '../helpers/metrics.ts'
import { drivenSeams } from '../helpers/seams.ts'

describe('a family of metrics', () => {
  it('tells decisions that Redis counted from those that this process did', async (t) => {
    const registry = new Registry()
    const seams = drivenSeams()
    const redis = createMemoryLimiter(seams)
    let isAway = false
    const shared = createSharedLimiter({
      redis: {
        take(counts) {
          if (isAway) throw new Error('away')
          return redis.take(counts)
        },
      },
      local: createMemoryLimiter(seams),
      connection: { renew: () => undefined, close: () => undefined },
      log: { info: () => undefined, warn: () => undefined },
    })
    t.after(() => shared.close())
    const renew = registerLimiterMetrics(registry, { sharing: shared })
    const limiter = registerDecisionMetrics(registry)(shared, shared)
    const take = (policy: 'subject' | 'key') =>
      limiter.take([{ policy, id: 'one', limit: { count: 1, windowSeconds: 60 } }])
    await take('subject')
    await take('subject')
    isAway = true
    await take('key')
    await take('key')
    renew()
    const found = samplesOf(await registry.metrics())
    const decisions = (result: string, counted: string) =>
      found[`jeton_limiter_decisions_total{result="${result}",counted="${counted}"}`]
    assert.deepEqual(
      [
        decisions('admitted', 'shared'),
        decisions('refused_by_subject', 'shared'),
        decisions('refused_by_key', 'shared'),
        decisions('admitted', 'local'),
        decisions('refused_by_key', 'local'),
      ],
      [1, 1, 0, 1, 1],
    )
    assert.deepEqual([found.jeton_limiter_shared, found.jeton_limiter_fallbacks_total], [0, 1])
  })

  it('counts in series that are there from the start, however often they are read', async () => {
    const registry = new Registry()
    const tokens = registerTokenMetrics(registry)
    const look = async () => {
      const found = samplesOf(await registry.metrics())
      return ['user', 'peer', 'turn'].map((format) => found[`jeton_tokens_issued_total{format="${format}"}`])
    }
    assert.deepEqual(await look(), [0, 0, 0])
    tokens.issued('user')
    tokens.issued('user')
    tokens.issued('turn')
    assert.deepEqual(await look(), [2, 0, 1])
    assert.deepEqual(await look(), [2, 0, 1])
    tokens.issued('user')
    assert.deepEqual(await look(), [3, 0, 1])
  })

  it('tells how late the event loop comes to what is due', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const registry = new Registry()
    const seams = drivenSeams()
    const close = registerEventLoopMetrics(registry, seams.monotonic)
    for (const lateMs of [0, 0, 200]) {
      seams.advance(50 + lateMs)
      t.mock.timers.tick(50)
    }
    close()
    t.mock.timers.tick(50)
    const found = samplesOf(await registry.metrics())
    const within = (le: string) => found[`jeton_event_loop_delay_seconds_bucket{le="${le}"}`]
    assert.deepEqual([within('0.001'), within('0.1'), within('0.25'), within('+Inf')], [2, 2, 3, 3])
    assert.equal(found.jeton_event_loop_delay_seconds_sum, 0.2)
  })

  it('tells since when the store cannot be read, and when that is too long', async () => {
    const registry = new Registry()
    const seams = drivenSeams()
    let isAway = false
    const readChanges = async () => {
      if (isAway) throw new Error('away')
      return 7
    }
    const follower = createFollower({ store: { readChanges }, seams, staleKeysSeconds: 30 })
    const renew = registerStoreMetrics(registry, { follower, keyring: { canSign: () => 'nowhere' } })
    const look = async () => {
      seams.advance(5_000)
      await follower.catchUp()
      renew()
      const found = samplesOf(await registry.metrics())
      const { jeton_store_readable, jeton_store_read_age_seconds, jeton_store_stale } = found
      assert.deepEqual([found.jeton_store_revision, found.jeton_can_sign], [7, 0])
      return [jeton_store_readable, jeton_store_read_age_seconds, jeton_store_stale]
    }
    assert.deepEqual(await look(), [1, 0, 0])
    isAway = true
    assert.deepEqual(await look(), [0, 5, 0])
    seams.advance(30_000)
    assert.deepEqual(await look(), [0, 40, 1])
    isAway = false
    assert.deepEqual(await look(), [1, 0, 0])
  })
})
