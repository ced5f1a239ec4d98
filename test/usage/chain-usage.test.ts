import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFileSync, cpSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Journal } from '../../src/journal/journal.ts'
import { pack } from '../../src/journal/upkeep.ts'
import { holdIfFree } from '../../src/store/hold.ts'
import type { Store } from '../../src/store/store.ts'
import { createOtherChains } from '../../src/usage/other-chains.ts'
import { createPace } from '../../src/usage/pace.ts'
import { losingDisk } from '../helpers/disk.ts'
import { alert, eventually, filesIn, issuance } from '../helpers/journal.ts'
import {
  chainUsage,
  countsIn,
  countsOf,
  digest,
  emptyStore,
  endOf,
  issue,
  refusal,
  setup,
  untilAnotherFile,
  usageOf,
} from './counted.ts'

/** What counts the chains that nobody writes, for the process of this journal. */
function othersOf(folder: string, journal: Journal, store: Pick<Store, 'usage'>, now: () => number) {
  const pace = createPace({ monotonic: () => performance.now() })
  const own = () => journal.standing()?.instance
  return createOtherChains({ folder, own, takeHold: holdIfFree, store, digest, pace, now })
}

for (const from of ['files', 'memory'] as const) {
  describe(`usage of a journal, counted from ${from}`, () => {
    it('is what its records say, as often as it is counted', async (t) => {
      const { open, store, countingOf, isWhole } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      assert.equal(usage.standing().writtenAt, undefined)
      await issue(journal, 5)
      assert.equal(usage.standing().waiting, 6)
      await usage.flush()
      assert.deepEqual(await countsIn(store), { issued: 5 })
      assert.equal(usage.standing().waiting, 0)
      assert.ok(usage.standing().writtenAt)
      await usage.flush()
      // Beyond 100 a second they are counted by one record.
      for (let index = 0; index < 130; index += 1) journal.refuse(refusal)
      await issue(journal, 3)
      await journal.close()
      await usage.close()
      await isWhole()
      assert.deepEqual(await countsIn(store), { issued: 8, rate_limited: 130 })
    })

    it('counts lines that lie across the ends of what is read at once', async (t) => {
      const { folder, open, store, countingOf, isWhole } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      for (const tokens of [300, 700]) {
        await issue(journal, tokens)
        await usage.flush()
      }
      const [file = ''] = filesIn(folder)
      assert.ok(readFileSync(file).length > 4 * 65_536)
      assert.deepEqual(await countsIn(store), { issued: 1_000 })
      await isWhole()
    })

    it('leaves what comes while it writes for the next time', async (t) => {
      const { open, store, countingOf, isWhole } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      const { add } = store.usage
      store.usage.add = async (batch) => {
        await issue(journal, 2)
        return await add(batch)
      }
      await issue(journal, 1)
      for (const batches of [1, 2]) {
        await usage.flush()
        assert.equal(store.added.length, batches)
        assert.equal(usage.standing().waiting, 2)
      }
      store.usage.add = add
      await usage.flush()
      assert.equal(usage.standing().waiting, 0)
      await isWhole()
    })

    it('needs no write for records that count nothing', async (t) => {
      const { open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      await usage.flush()
      assert.deepEqual([store.added.length, usage.standing().waiting], [0, 0])
    })

    it('goes on in the next process, where a database that was away or an answer that was lost left it', async (t) => {
      const { folder, open, store, told, countingOf, isWhole } = await setup(t, from)
      for (const fail of ['before', 'after', undefined, 'after', 'before', undefined] as const) {
        const journal = await open()
        const usage = countingOf(journal)
        store.fail = fail
        await issue(journal, 4)
        await usage.flush()
        await issue(journal, 2)
        await usage.flush()
        // A process that is killed writes nothing more: this one's counting is not closed.
        await journal.close()
      }
      store.fail = undefined
      const usage = countingOf(await open())
      await usage.flush()
      await isWhole()
      assert.deepEqual(await countsIn(store), { issued: 36 })
      assert.ok(told.some(([, message]) => message === 'usage cannot be counted'))
      assert.equal(filesIn(folder).length, 7)
    })

    it('goes on in the same process, and holds no more than one batch meanwhile', async (t) => {
      const { open, store, told, countingOf, isWhole } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      for (const fail of ['before', 'after'] as const) {
        store.fail = fail
        for (let round = 0; round < 5; round += 1) {
          await issue(journal, 3)
          await usage.flush()
        }
        assert.ok(usage.standing().waiting > 0)
        store.fail = undefined
        await usage.flush()
        assert.equal(usage.standing().waiting, 0)
        await isWhole()
      }
      assert.deepEqual(told, [
        ['error', 'usage cannot be counted'],
        ['info', 'usage can be counted again'],
        ['error', 'usage cannot be counted'],
        ['info', 'usage can be counted again'],
      ])
    })

    it('is whole again after the database was put back to an earlier state, under a process that runs', async (t) => {
      const { open, folder, store, countingOf } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      await issue(journal, 4)
      await usage.flush()
      const other = (await emptyStore(t)).store
      Object.assign(store.usage, other.usage)
      await issue(journal, 3)
      await usage.flush()
      assert.deepEqual(await countsIn(other), countsOf(folder))
      assert.deepEqual(await countsIn(other), { issued: 7 })
    })

    it('does not count the same chain twice when two count it at once', async (t) => {
      const { open, store, countingOf, isWhole } = await setup(t, from)
      const journal = await open()
      const [one, other] = [countingOf(journal), countingOf(journal)]
      for (let round = 0; round < 5; round += 1) {
        await issue(journal, 3)
        await Promise.all([one.flush(), other.flush()])
        await isWhole()
      }
      await one.flush()
      assert.deepEqual([one.standing().waiting, store.added.length > 5], [0, true])
    })

    it('reads on over files that were rolled, packed or removed', async (t) => {
      const { folder, open, countingOf, isWhole } = await setup(t, from)
      const journal = await open({ rollBytes: 2_000 })
      const usage = countingOf(journal)
      for (let token = 0; token < 30; token += 1) {
        await issue(journal, 1)
        if (token % 7 === 0) await usage.flush()
      }
      const files = filesIn(folder)
      assert.ok(files.length > 4)
      for (const path of files.slice(0, -2)) await pack({ path }, new AbortController().signal)
      await usage.flush()
      await isWhole()
      // From the beginning, as after a restore without counts.
      const anew = (await emptyStore(t)).store
      await usageOf(chainUsage(folder, anew, endOf(journal)), anew, { info() {}, error() {} }).flush()
      assert.deepEqual(await countsIn(anew), { issued: 30 })
      const rest = (await emptyStore(t)).store
      for (const path of filesIn(folder).slice(0, 2)) rmSync(path)
      await usageOf(chainUsage(folder, rest, endOf(journal)), rest, { info() {}, error() {} }).flush()
      assert.deepEqual(await countsIn(rest), countsOf(folder))
    })

    it('leaves nothing out when the disk fails in the middle of a file', async (t) => {
      const { folder, open, store, told, countingOf, isWhole } = await setup(t, from)
      const journal = await open({ rollBytes: 4_000_000 })
      const one = { ...issuance, policy: { channels: ['large'] } }
      for (let batch = 0; batch < 6; batch += 1) {
        // What cannot be packed well, so that a part of it is read before the fault shows.
        const large = () => ({ ...one, policy: { channels: [randomBytes(1_500).toString('base64')] } })
        await Promise.all(Array.from({ length: 400 }, () => journal.append(large())))
      }
      await journal.append(one)
      const [path = ''] = filesIn(folder)
      await pack({ path }, new AbortController().signal)
      const packed = readFileSync(`${path}.gz`)
      writeFileSync(`${path}.gz`, packed.subarray(0, packed.length * 0.8))
      const usage = countingOf(journal)
      await usage.flush()
      assert.deepEqual(told.at(-1)?.[1], 'usage cannot be counted')
      writeFileSync(`${path}.gz`, packed)
      await usage.flush()
      await isWhole()
      assert.deepEqual(await countsIn(store), { issued: 2_401 })
    })

    it('goes on behind records that nobody has any more', async (t) => {
      const { folder, open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      await issue(journal, 2)
      rmSync(filesIn(folder).at(-1) ?? '')
      await untilAnotherFile(journal, folder)
      await issue(journal, 2)
      await usage.flush()
      assert.equal(usage.standing().waiting, 0)
      // They were issued, and counted if there was time.
      assert.deepEqual(await countsIn(store), from === 'files' ? countsOf(folder) : { issued: 5 })
    })

    it('does not mistake another file for the one that it has read', async (t) => {
      const { folder, open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      await issue(journal, 5)
      await usage.flush()
      const [path = ''] = filesIn(folder)
      rmSync(path)
      await untilAnotherFile(journal, folder)
      assert.notDeepEqual(filesIn(folder), [path])
      await issue(journal, 6)
      await usage.flush()
      assert.deepEqual(await countsIn(store), { issued: 12 })
    })

    it('counts nothing that was not acknowledged', async (t) => {
      const { folder, open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      await issue(journal, 2)
      await usage.flush()
      const before = endOf(journal)()
      // As a batch whose sync has not ended: it can be read, and may still be given up.
      const [path = ''] = filesIn(folder)
      const n = (before?.upTo ?? 0) + 1
      const line = `{"v":1,"at":"2026-11-22T12:00:00.000Z","prev":"${'0'.repeat(64)}","n":${n},"type":"issued","environmentId":"${issuance.environmentId}","keyId":"kid_x","format":"user","subject":"eve"}`
      appendFileSync(path, `${line}\n`)
      await usage.flush()
      assert.deepEqual(await countsIn(store), { issued: 2 })
      // The file failed there: the next one begins with the same number.
      rmSync(path)
      await untilAnotherFile(journal, folder)
      appendFileSync(path, `${line}\n`)
      await issue(journal, 1)
      await usage.flush()
      const counted = await store.usage.minutes({ from: 0, to: 2 ** 40, keyId: 'kid_x' })
      assert.deepEqual(counted, [])
    })

    it('does not count again what a folder that was put back to an earlier state has twice', async (t) => {
      const { folder, open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const { instance = '' } = journal.standing() ?? {}
      // It was counted further than the chain goes.
      await store.usage.add({ chain: instance, after: 0, upTo: 1_000, counts: [], sketches: [], at: 0 })
      await issue(journal, 2)
      const usage = countingOf(journal)
      await usage.flush()
      assert.equal(await store.usage.countedUpTo(instance), 3)
      await issue(journal, 4)
      await usage.flush()
      assert.deepEqual([await countsIn(store), countsOf(folder)], [{ issued: 4 }, { issued: 6 }])
    })

    it('does not set back what the next process has counted of its chain', async (t) => {
      const { open, countingOf, isWhole } = await setup(t, from)
      const former = await open()
      const counting = countingOf(former)
      await issue(former, 3)
      await counting.flush()
      await issue(former, 2)
      await former.close()
      // It goes on before the former one has counted its last records.
      const next = await open()
      const usage = countingOf(next)
      await issue(next, 7)
      await usage.flush()
      for (let round = 0; round < 2; round += 1) {
        await counting.flush()
        await issue(next, 4)
        await usage.flush()
        await isWhole()
      }
      assert.equal(counting.standing().waiting, 0)
    })

    it('does not set back what the next process has counted while the database took its time', async (t) => {
      const { open, store, countingOf, isWhole } = await setup(t, from)
      const former = await open()
      await issue(former, 2)
      const counting = countingOf(former)
      const { countedUpTo } = store.usage
      const asked = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      store.usage.countedUpTo = async (instance) => {
        asked.resolve()
        await gate.promise
        return await countedUpTo(instance)
      }
      const flushed = counting.flush()
      await asked.promise
      store.usage.countedUpTo = countedUpTo
      await former.close()
      const next = await open()
      const usage = countingOf(next)
      await issue(next, 5)
      await usage.flush()
      gate.resolve()
      await flushed
      await issue(next, 2)
      await usage.flush()
      await isWhole()
    })

    it('sets nothing back once it has given the chain up, though the database was away when it still had it', async (t) => {
      const { open, store, countingOf } = await setup(t, from)
      const former = await open()
      const { instance = '', head } = former.standing() ?? {}
      await issue(former, 2)
      const upTo = (head?.n ?? 0) + 9
      await store.usage.add({ chain: instance, after: 0, upTo, counts: [], sketches: [], at: 0 })
      store.fail = 'before'
      const counting = countingOf(former)
      await counting.flush()
      await former.close()
      store.fail = undefined
      await counting.flush()
      assert.equal(await store.usage.countedUpTo(instance), upTo)
    })

    it('takes the end of a chain for that of no other one', async (t) => {
      const { folder, open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const { instance = '' } = journal.standing() ?? {}
      await issue(journal, 30)
      await countingOf(journal).flush()
      const counted = await store.usage.countedUpTo(instance)
      const { countedUpTo } = store.usage
      store.usage.countedUpTo = async (of) => {
        store.usage.countedUpTo = countedUpTo
        // Meanwhile its folder is removed, and the process goes on with another one.
        rmSync(join(folder, instance), { recursive: true })
        await untilAnotherFile(journal, folder)
        return await countedUpTo(of)
      }
      const usage = countingOf(journal)
      await usage.flush()
      assert.notEqual(journal.standing()?.instance, instance)
      await issue(journal, 3)
      await usage.flush()
      assert.equal(await store.usage.countedUpTo(instance), counted)
      assert.deepEqual(await countsIn(store), { issued: 30 + (countsOf(folder).issued ?? 0) })
    })

    it('counts what has the numbers of records that counted nothing, after the folder was put back', async (t) => {
      const { disk, lose } = losingDisk()
      const { folder, open, store, countingOf } = await setup(t, from)
      const journal = await open({ disk })
      const usage = countingOf(journal)
      const own = join(folder, journal.standing()?.instance ?? '')
      await issue(journal, 3)
      await usage.flush()
      cpSync(own, `${folder}-earlier`, { recursive: true })
      for (let index = 0; index < 9; index += 1) journal.alert(alert)
      await eventually(() => journal.standing()?.head.n === 13, 'they are written')
      await usage.flush()
      assert.equal(usage.standing().waiting, 0)
      rmSync(own, { recursive: true })
      cpSync(`${folder}-earlier`, own, { recursive: true })
      lose()
      await eventually(
        () => journal.isAvailable() && (journal.standing()?.head.n ?? 13) < 13,
        'it goes on behind what is there',
      )
      await issue(journal, 4)
      await usage.flush()
      assert.deepEqual(await countsIn(store), { issued: 7 })
    })

    it('has a piece of its own for what is too much for one', async (t) => {
      const { open, store, countingOf } = await setup(t, from)
      const journal = await open()
      const usage = countingOf(journal)
      const appended = Array.from({ length: 2_500 }, (_, index) =>
        journal.append({ ...issuance, keyId: `kid_${index}` }),
      )
      await Promise.all(appended)
      await usage.flush()
      assert.ok(store.added.length >= 3)
      assert.ok(store.added.every(({ counts }) => counts.length <= 1_000))
      assert.deepEqual(await countsIn(store), { issued: 2_500 })
    })

    it('tells how many subjects there were, without their names', async (t) => {
      const { open, store, countingOf } = await setup(t, from)
      const journal = await open()
      for (const subject of ['alice', 'bob', 'alice', issuance.keyId]) {
        await journal.append({ ...issuance, subject })
      }
      await countingOf(journal).flush()
      const [found, ...others] = await store.usage.subjects({
        environmentId: issuance.environmentId,
        from: 0,
        to: 2 ** 40,
      })
      assert.equal(others.length, 0)
      assert.equal(found?.sketch.length, 6)
    })

    it('is counted for a process that was killed and never comes back, once nobody writes its chain', async (t) => {
      const { folder, open, store, countingOf, isWhole } = await setup(t, from)
      const gone = await open()
      const own = await open()
      await issue(gone, 3)
      await issue(own, 2)
      const usage = countingOf(own)
      await usage.flush()
      let now = Date.now()
      const others = othersOf(folder, own, store, () => now)
      const pass = () =>
        others(async (source) => {
          for (let next = await source.next(); next; next = await source.next()) {
            source.settle(await store.usage.add(next.batch))
          }
          return true
        })
      now += 3_600_000
      await pass()
      // It still runs.
      assert.deepEqual(await countsIn(store), { issued: 2 })
      await gone.close()
      now = Date.now()
      await pass()
      // It may come back soon.
      assert.deepEqual(await countsIn(store), { issued: 2 })
      now += 3_600_000
      await pass()
      await isWhole()
      const writes = store.added.length
      await pass()
      assert.equal(store.added.length, writes)
      // It comes back after all, goes on with its chain, and ends once more.
      const back = await open()
      await issue(back, 4)
      await back.close()
      for (const path of filesIn(folder)) utimesSync(path, now / 1000, now / 1000)
      now += 3_600_000
      await pass()
      await isWhole()
      assert.deepEqual(await countsIn(store), { issued: 9 })
    })

    it('passes over a file that was packed or removed since it was found', async (t) => {
      const { folder, open, store } = await setup(t, from)
      const [gone, own] = [await open(), await open()]
      await issue(gone, 3)
      const instance = gone.standing()?.instance ?? ''
      const file = filesIn(folder).find((path) => path.includes(instance)) ?? ''
      await gone.close()
      // It is listed, and not to be had.
      symlinkSync('nowhere', file.replace('00000001', '00000002'))
      const others = othersOf(folder, own, store, () => Date.now() + 3_600_000)
      await others(async () => assert.fail('There is nothing to be counted.'))
    })

    it('does not set back what its next owner has counted, when somebody else counted it', async (t) => {
      const { folder, open, store, countingOf, isWhole } = await setup(t, from)
      const [gone, own] = [await open(), await open()]
      await issue(gone, 3)
      const gonesInstance = gone.standing()?.instance
      await gone.close()
      const others = othersOf(folder, own, store, () => Date.now() + 3_600_000)
      let owner: Journal | undefined
      await others(async (source) => {
        // It comes back between the look at its chain and the counting.
        owner = await open()
        await issue(owner, 5)
        await countingOf(owner).flush()
        for (let next = await source.next(); next; next = await source.next()) {
          source.settle(await store.usage.add(next.batch))
        }
        return true
      })
      assert.ok(owner)
      assert.equal(owner.standing()?.instance, gonesInstance)
      await countingOf(owner).flush()
      await isWhole()
      assert.deepEqual(await countsIn(store), { issued: 8 })
    })
  })
}
