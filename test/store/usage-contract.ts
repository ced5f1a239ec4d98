import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { addToSketch, distinctIn, emptySketch, readSketch, writeSketch } from '../../src/domain/distinct.ts'
import type { Store, UsageBatch, UsageCount } from '../../src/store/store.ts'
import { changesSince } from '../helpers/changes.ts'
import type { Database } from './contract.ts'

/** A minute at the end of a year: the next one is of another hour, day and year. */
const LAST = Date.UTC(2026, 11, 31, 23, 59) / 60_000
const DAY = Math.floor(LAST / 1_440)

function count(minute: number, more: Partial<UsageCount> = {}): UsageCount {
  return {
    environmentId: 'env_1',
    keyId: 'kid_1',
    format: 'user',
    outcome: 'issued',
    count: 1,
    minute,
    ...more,
  }
}

function batch(after: number, upTo: number, counts: readonly UsageCount[], more: Partial<UsageBatch> = {}) {
  return { chain: 'ins_1', after, upTo, counts, sketches: [], at: LAST, ...more }
}

function sketchOf(...subjects: readonly string[]): string {
  const sketch = emptySketch()
  for (const subject of subjects) addToSketch(sketch, hash('sha256', subject, 'hex'))
  return writeSketch(sketch)
}

async function all(store: Store, grain: 'minute' | 'hour', range = { from: 0, to: LAST * 2 }) {
  const found: UsageCount[] = []
  await store.usage.read({ environmentId: 'env_1', grain, ...range }, (rows) => found.push(...rows))
  return found
}

/** What every store promises about usage. */
export function usageContract(
  name: string,
  open: (t: TestContext) => Promise<Database>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`usage in the store on ${name}`, { skip }, () => {
    async function prepared(t: TestContext) {
      const { handle, run } = await open(t)
      const store = await handle()
      await store.prepare()
      return { store, handle, run }
    }

    it('adds counts to those that are there, by minute and by hour', async (t) => {
      const { store } = await prepared(t)
      const counts = [
        count(LAST - 59),
        count(LAST, { count: 2 }),
        count(LAST + 1),
        count(LAST, { outcome: 'rate_limited' }),
      ]
      assert.equal(await store.usage.add(batch(0, 4, counts)), 4)
      assert.equal(await store.usage.add(batch(4, 9, [count(LAST, { count: 5 })])), 9)
      assert.equal(await store.usage.countedUpTo('ins_1'), 9)
      assert.deepEqual(await all(store, 'minute'), [
        count(LAST - 59),
        count(LAST, { count: 7 }),
        count(LAST, { outcome: 'rate_limited' }),
        count(LAST + 1),
      ])
      assert.deepEqual(await all(store, 'hour'), [
        count(LAST - 59, { count: 8 }),
        count(LAST - 59, { outcome: 'rate_limited' }),
        count(LAST + 1),
      ])
      assert.deepEqual(await all(store, 'minute', { from: LAST, to: LAST + 1 }), [
        count(LAST, { count: 7 }),
        count(LAST, { outcome: 'rate_limited' }),
      ])
    })

    it('adds a batch that comes again, or begins elsewhere, to nothing', async (t) => {
      const { store } = await prepared(t)
      const first = batch(0, 4, [count(LAST)], {
        sketches: [{ environmentId: 'env_1', day: DAY, sketch: sketchOf('alice') }],
      })
      assert.equal(await store.usage.add(first), 4)
      assert.equal(await store.usage.add(first), 4)
      assert.equal(await store.usage.add(batch(3, 5, [count(LAST)])), 4)
      assert.equal(await store.usage.add(batch(5, 6, [count(LAST)])), 4)
      assert.deepEqual(await all(store, 'minute'), [count(LAST)])
      // Another chain has a mark of its own.
      assert.equal(await store.usage.add(batch(0, 4, [count(LAST)], { chain: 'ins_2' })), 4)
      assert.deepEqual(await all(store, 'minute'), [count(LAST, { count: 2 })])
      // One that was put back goes on from where it is.
      assert.equal(await store.usage.add(batch(4, 2, [])), 2)
      assert.equal(await store.usage.countedUpTo('ins_1'), 2)
      assert.equal((await changesSince(store, 0)).revision, 0)
    })

    it('takes batches of several processes at once, each once', async (t) => {
      const { store, handle } = await prepared(t)
      const stores = [store, await handle(), await handle()]
      const keys = ['kid_1', 'kid_2', 'kid_3']
      // Everybody touches the same rows, each in another order, and two of them count the same chain.
      await Promise.all(
        stores.map(async (one, index) => {
          const order = [...keys.slice(index), ...keys.slice(0, index)]
          for (let after = 0; after < 20; after += 1) {
            const counts = order.map((keyId) => count(LAST, { keyId }))
            await one.usage.add(batch(after, after + 1, counts, { chain: `ins_${Math.min(index, 1)}` }))
          }
        }),
      )
      assert.deepEqual(
        (await all(store, 'hour')).map((row) => row.count),
        [40, 40, 40],
      )
    })

    it('takes a batch that is larger than one statement', async (t) => {
      const { store } = await prepared(t)
      const counts = Array.from({ length: 1_234 }, (_, index) => count(LAST + index, { count: index + 1 }))
      await store.usage.add(batch(0, 1, counts))
      assert.deepEqual(await all(store, 'minute'), counts)
      assert.equal((await store.usage.minutes({ from: 0, to: LAST * 2 })).length, 1_234)
    })

    it('tells what was issued by minute, of all formats together', async (t) => {
      const { store } = await prepared(t)
      const counts = [
        count(LAST),
        count(LAST, { format: 'peer', count: 3 }),
        count(LAST, { outcome: 'rate_limited' }),
        count(LAST, { keyId: 'kid_2' }),
        count(LAST - 1, { environmentId: 'env_2', keyId: 'kid_3' }),
        count(LAST + 1, { environmentId: 'env_2', keyId: 'kid_3', outcome: 'rate_limited' }),
        count(LAST + 2),
      ]
      await store.usage.add(batch(0, 1, counts))
      const range = { from: LAST - 1, to: LAST + 2 }
      const both = { environmentId: 'env_1', keyId: 'kid_1', minute: LAST, issued: 4 }
      const second = { environmentId: 'env_1', keyId: 'kid_2', minute: LAST, issued: 1 }
      const third = { environmentId: 'env_2', keyId: 'kid_3', minute: LAST - 1, issued: 1 }
      assert.deepEqual(await store.usage.minutes(range), [third, both, second])
      assert.deepEqual(await store.usage.minutes({ ...range, environmentId: 'env_1' }), [both, second])
      assert.deepEqual(await store.usage.minutes({ ...range, keyId: 'kid_2' }), [second])
      assert.deepEqual(await store.usage.minutes({ ...range, environmentId: 'env_2', keyId: 'kid_1' }), [])
      assert.deepEqual(await store.usage.minutes({ from: LAST, to: LAST }), [])
    })

    it('unites sketches of a day, whatever their order and however often they come', async (t) => {
      const { store } = await prepared(t)
      const of = (environmentId: string, day: number, ...subjects: readonly string[]) => ({
        environmentId,
        day,
        sketch: sketchOf(...subjects),
      })
      const sketches = [of('env_1', DAY, 'alice'), of('env_1', DAY + 1, 'alice'), of('env_2', DAY, 'eve')]
      await store.usage.add(batch(0, 1, [], { sketches }))
      await store.usage.add(batch(1, 2, [], { sketches: [of('env_1', DAY, 'alice', 'bob')] }))
      await store.usage.add(batch(2, 3, [], { sketches: [of('env_1', DAY, 'alice')] }))
      const found = await store.usage.subjects({ environmentId: 'env_1', from: DAY, to: DAY + 2 })
      assert.deepEqual(
        found.map(({ day, sketch }) => [day, distinctIn(readSketch(sketch))]),
        [
          [DAY, 2],
          [DAY + 1, 1],
        ],
      )
      assert.deepEqual(await store.usage.subjects({ environmentId: 'env_1', from: DAY + 2, to: DAY + 9 }), [])
      const many = Array.from({ length: 50 }, (_, index) => of('env_1', index, 'alice'))
      await store.usage.add(batch(3, 4, [], { sketches: many }))
      await store.usage.add(batch(4, 5, [], { sketches: many }))
      assert.equal((await store.usage.subjects({ environmentId: 'env_1', from: 0, to: 50 })).length, 50)
    })

    it('removes what is old, some at a time, and nothing else', async (t) => {
      const { store } = await prepared(t)
      const counts = Array.from({ length: 500 }, (_, index) => count(LAST - index))
      const sketches = [DAY - 1, DAY].map((day) => ({ environmentId: 'env_1', day, sketch: sketchOf('a') }))
      await store.usage.add(batch(0, 1, counts, { sketches }))
      let steps = 0
      while (await store.usage.forget({ minute: LAST - 60, hour: LAST })) steps += 1
      assert.ok(steps >= 3, `${steps}`)
      assert.equal((await all(store, 'minute')).length, 61)
      assert.deepEqual(await all(store, 'hour'), [])
      const days = await store.usage.subjects({ environmentId: 'env_1', from: 0, to: DAY + 1 })
      assert.deepEqual(
        days.map(({ day }) => day),
        [DAY],
      )
      assert.equal(await store.usage.countedUpTo('ins_1'), 1)
    })

    it('forgets chains by name and age, and keeps the others', async (t) => {
      const { store } = await prepared(t)
      for (const [chain, at] of [
        ['mem_old', LAST - 2],
        ['mem_new', LAST],
        ['ins_old', LAST - 2],
      ] as const) {
        await store.usage.add(batch(0, 7, [], { chain, at }))
      }
      await store.usage.forgetChains({ prefix: 'mem', writtenBefore: LAST - 1 })
      const counted = ['mem_old', 'mem_new', 'ins_old'].map((chain) => store.usage.countedUpTo(chain))
      assert.deepEqual(await Promise.all(counted), [0, 7, 7])
    })
  })
}
