import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Store } from '../../src/store/store.ts'
import { changesSince } from '../helpers/changes.ts'
import { countUsage } from '../helpers/usage-counts.ts'
import type { Database } from './contract.ts'

const MINUTE = 29_900_000
const alert = {
  id: 'alr_1',
  environmentId: 'env_1',
  keyId: 'kid_1',
  minute: MINUTE,
  issued: 120,
  median: 2.5,
}
const open = { ...alert, closedMinute: undefined, why: undefined, peak: undefined }
const end = { closedMinute: MINUTE + 30, why: 'calm', peak: 400 } as const
const notice = { id: 'alr_1_raised', body: '{"type":"spike.raised"}', createdAt: 1_000 }

/** What every store promises about alerts, whatever database is under it. */
export function alertContract(
  name: string,
  openDatabase: (t: TestContext) => Promise<Database>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`alerts in ${name}`, { skip }, () => {
    async function prepared(t: TestContext) {
      const { handle } = await openDatabase(t)
      const store = await handle()
      await store.prepare()
      return { ...store.alerts, store, handle }
    }

    it('are given back as they were raised and closed', async (t) => {
      const { raise, close, list } = await prepared(t)
      assert.equal(await raise(alert), true)
      assert.equal(await raise({ ...alert, id: 'alr_2', keyId: '' }), true)
      assert.deepEqual(await list(0), [open, { ...open, id: 'alr_2', keyId: '' }])
      assert.equal(await close('alr_1', end), true)
      assert.deepEqual((await list(end.closedMinute))[0], { ...alert, ...end })
      assert.deepEqual(
        (await list(end.closedMinute + 1)).map(({ id }) => id),
        ['alr_2'],
      )
    })

    it('are raised by one of many processes, and closed by one', async (t) => {
      const { handle, list } = await prepared(t)
      const stores: Store[] = await Promise.all(Array.from({ length: 4 }, handle))
      const tries = Array.from({ length: 20 }, (_, index) => ({ ...alert, id: `alr_${index}` }))
      const raised = await Promise.all(
        tries.map((one, index) =>
          stores[index % 4]?.alerts.raise(one, { ...notice, id: `${one.id}_raised` }),
        ),
      )
      assert.equal(raised.filter(Boolean).length, 1)
      const winner = `alr_${raised.indexOf(true)}`
      assert.deepEqual(await list(0), [{ ...open, id: winner }])
      const closed = await Promise.all(
        tries.map((_, index) =>
          stores[index % 4]?.alerts.close(winner, end, { ...notice, id: `${winner}_closed` }),
        ),
      )
      assert.equal(closed.filter(Boolean).length, 1)
      // Exactly the notices of those that did it are there.
      const taken = await Promise.all(
        tries.map((_, index) => stores[index % 4]?.alerts.takeNotice(2_000, 9_000)),
      )
      const ids = taken.flatMap((one) => (one === undefined ? [] : [one.id]))
      assert.deepEqual(ids.sort(), [`${winner}_closed`, `${winner}_raised`])
    })

    it('of a key can be raised again once it is closed', async (t) => {
      const { raise, close, list } = await prepared(t)
      await raise(alert)
      assert.equal(await raise({ ...alert, id: 'alr_2' }), false)
      await close('alr_1', end)
      assert.equal(await close('alr_1', { ...end, peak: 1 }), false)
      assert.equal(await raise({ ...alert, id: 'alr_2', minute: MINUTE + 60 }), true)
      assert.deepEqual(
        (await list(0)).map(({ id, peak }) => [id, peak]),
        [
          ['alr_1', 400],
          ['alr_2', undefined],
        ],
      )
    })

    it('are forgotten when they were closed long ago, and never while they are open', async (t) => {
      const { raise, close, forget, list } = await prepared(t)
      await raise(alert)
      await forget(MINUTE * 2)
      assert.equal((await list(0)).length, 1)
      await close('alr_1', end)
      await forget(end.closedMinute)
      assert.equal((await list(0)).length, 1)
      await forget(end.closedMinute + 1)
      assert.deepEqual(await list(0), [])
    })

    it('leave the revision as it is', async (t) => {
      const { store, raise, close } = await prepared(t)
      const before = await changesSince(store, 0)
      await raise(alert, notice)
      await close('alr_1', end)
      assert.equal((await changesSince(store, 0)).revision, before.revision)
    })

    it('have notices that are taken one by one, when they are due, and again when nobody has settled them', async (t) => {
      const { raise, takeNotice, postponeNotice, dropNotice } = await prepared(t)
      await raise(alert, notice)
      await raise(
        { ...alert, id: 'alr_2', keyId: 'kid_2' },
        { ...notice, id: 'alr_2_raised', createdAt: 1_500 },
      )
      assert.equal(await takeNotice(999, 5_000), undefined)
      assert.deepEqual(await takeNotice(2_000, 5_000), { ...notice, attempts: 1, dueAt: 5_000 })
      assert.equal((await takeNotice(2_000, 5_000))?.id, 'alr_2_raised')
      assert.equal(await takeNotice(4_999, 6_000), undefined)
      await dropNotice('alr_2_raised')
      assert.deepEqual(await takeNotice(5_000, 9_000), { ...notice, attempts: 2, dueAt: 9_000 })
      await postponeNotice('alr_1_raised', 7_000)
      assert.equal(await takeNotice(6_999, 9_000), undefined)
      assert.equal((await takeNotice(7_000, 9_000))?.attempts, 3)
    })

    it('are found in usage, of which only what was issued counts, over all formats', async (t) => {
      const { store } = await prepared(t)
      const at = (minute: number, keyId: string, issued: number, environmentId = 'env_1') => ({
        environmentId,
        keyId,
        minute: MINUTE + minute,
        issued,
      })
      await countUsage(store, [
        at(0, 'kid_1', 30),
        { ...at(0, 'kid_1', 20), format: 'peer' },
        at(0, 'kid_2', 49),
        { ...at(0, 'kid_2', 500), outcome: 'rate_limited' },
        at(0, 'kid_3', 7, 'env_2'),
        at(1, 'kid_2', 60),
        at(3, 'kid_1', 1),
      ])
      const { busyKeys, busyEnvironments, ofMinutes } = store.courses
      const sorted = <Row extends object>(rows: readonly Row[]) =>
        rows
          .map((row) => ({ ...row }))
          .toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1))
      const kid1 = { environmentId: 'env_1', keyId: 'kid_1', issued: 50 }
      assert.deepEqual(sorted(await busyKeys(MINUTE, 50)), [kid1])
      assert.deepEqual(sorted(await busyKeys(MINUTE, 49)), [kid1, { ...kid1, keyId: 'kid_2', issued: 49 }])
      assert.deepEqual(sorted(await busyEnvironments(MINUTE, 50)), [
        { environmentId: 'env_1', issued: 99, counts: 3 },
      ])
      const minutes = [0, 1, 2, 3].map((minute) => MINUTE + minute)
      assert.deepEqual(sorted(await ofMinutes({ environmentId: 'env_1', keyId: 'kid_1', minutes })), [
        { minute: MINUTE, issued: 50 },
        { minute: MINUTE + 3, issued: 1 },
      ])
      assert.deepEqual(sorted(await ofMinutes({ environmentId: 'env_1', keyId: undefined, minutes })), [
        { minute: MINUTE, issued: 99 },
        { minute: MINUTE + 1, issued: 60 },
        { minute: MINUTE + 3, issued: 1 },
      ])
      assert.deepEqual(await ofMinutes({ environmentId: 'env_2', keyId: 'kid_1', minutes }), [])
    })
  })
}
