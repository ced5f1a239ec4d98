import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Disk, OpenFile } from '../../src/journal/disk.ts'
import type { Journal, WrittenBatch } from '../../src/journal/journal.ts'
import { systemSeams } from '../../src/seams.ts'
import { holdIfFree } from '../../src/store/hold.ts'
import { createFreshRecords } from '../../src/usage/fresh-records.ts'
import { openUsage } from '../../src/usage/open-usage.ts'
import { diskWith, losingDisk } from '../helpers/disk.ts'
import { eventually, filesIn, issuance, journalFolderOf, tokenOf } from '../helpers/journal.ts'
import { inFull } from '../helpers/scale.ts'
import { seededChance } from '../helpers/seams.ts'
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

/** A look that does not end leaves the event loop to others, so that this can end it. */
const SOON = { timeout: inFull(400_000, 60_000) }

const quiet = { info() {}, warn() {}, error() {} }

describe('usage counted from memory', SOON, () => {
  it('reads no file while all before is counted, over files that are rolled', async (t) => {
    const { open, store, countingOf } = await setup(t, 'memory')
    const journal = await open({ rollBytes: 2_000 })
    const usage = countingOf(journal, '/nowhere')
    for (let round = 0; round < 5; round += 1) {
      await issue(journal, 10)
      for (let index = 0; index < 3; index += 1) journal.refuse(refusal)
      await usage.flush()
    }
    await journal.close()
    await usage.close()
    assert.equal(usage.standing().waiting, 0)
    assert.deepEqual(await countsIn(store), { issued: 50, rate_limited: 15 })
  })

  it('is handed on from the journal that is opened for it', async (t) => {
    const { open } = await journalFolderOf(t)
    const { store } = await emptyStore(t)
    const { usage, journal } = await openUsage({
      openJournal: (onBatch) => open({ onBatch }),
      folder: '/nowhere',
      keepDays: 400,
      takeHold: holdIfFree,
      store,
      secret: new Uint8Array(32),
      seams: systemSeams,
      log: quiet,
    })
    await issue(journal, 7)
    await usage.flush()
    assert.deepEqual(await countsIn(store), { issued: 7 })
  })

  it('holds no more kinds than are written at once, and reads the rest from the files', async (t) => {
    const { open, store, countingOf, isWhole } = await setup(t, 'memory')
    const journal = await open()
    const usage = countingOf(journal)
    for (const fail of ['before', undefined, 'after'] as const) {
      store.fail = fail
      for (let key = 0; key < 2_500; key += 1) {
        const appended = journal.append({ ...issuance, keyId: `kid_${key}` })
        if (key % 500 === 0) await Promise.all([appended, usage.flush()])
      }
      await issue(journal, 1)
    }
    store.fail = undefined
    await usage.flush()
    // A batch has a day of an environment as well.
    assert.ok(store.added.every(({ counts }) => counts.length <= 1_001))
    await isWhole()
    assert.deepEqual(await countsIn(store), { issued: 7_503 })
  })

  it('is not counted when somebody else has counted the chain in the meantime', async (t) => {
    const { open, folder, store, countingOf, isWhole } = await setup(t, 'memory')
    const journal = await open()
    const files = `${folder}-link`
    symlinkSync(folder, files)
    const usage = countingOf(journal, files)
    const other = usageOf(chainUsage(folder, store, endOf(journal)), store, quiet)
    await issue(journal, 3)
    await usage.flush()
    await issue(journal, 4)
    await other.flush()
    await issue(journal, 2)
    await usage.flush()
    await usage.flush()
    await isWhole()
    assert.equal(usage.standing().waiting, 0)
    // And while a batch waits for the database.
    await issue(journal, 1)
    store.fail = 'before'
    await usage.flush()
    store.fail = undefined
    await issue(journal, 2)
    await other.flush()
    await issue(journal, 1)
    await usage.flush()
    await usage.flush()
    await isWhole()
    // From here on it needs no file again.
    rmSync(files)
    await issue(journal, 8)
    await usage.flush()
    await isWhole()
  })

  it('begins anew behind a file that was taken away from a journal that rests', async (t) => {
    const { folder, open, store, countingOf } = await setup(t, 'memory')
    const journal = await open()
    const usage = countingOf(journal)
    await issue(journal, 3)
    await usage.flush()
    rmSync(filesIn(folder)[0] ?? '')
    // The first record of the next file is in no batch.
    const before = journal.standing()?.head.n ?? 0
    await eventually(() => (journal.standing()?.head.n ?? 0) > before, 'another file is begun')
    await usage.flush()
    assert.equal(usage.standing().waiting, 0)
    await issue(journal, 2)
    await usage.flush()
    assert.deepEqual(await countsIn(store), { issued: 5 })
  })

  it('can be looked at while the first records of a file are written', async (t) => {
    let gate: PromiseWithResolvers<void> | undefined
    const asked = Promise.withResolvers<void>()
    const disk = diskWith({
      async write(file, bytes) {
        if (gate !== undefined && !isBeginning(bytes)) {
          asked.resolve()
          await gate.promise
        }
        return await file.write(bytes)
      },
    })
    const { open, countingOf, isWhole } = await setup(t, 'memory')
    const journal = await open({ disk, rollBytes: 1_000 })
    const usage = countingOf(journal)
    await issue(journal, 5)
    gate = Promise.withResolvers()
    const issued = issue(journal, 4)
    await asked.promise
    for (let look = 0; look < 3; look += 1) await usage.flush()
    gate.resolve()
    await issued
    await usage.flush()
    await isWhole()
  })

  it('goes on on a disk that takes beginnings and no more', async (t) => {
    let isFull = false
    const disk = diskWith({
      async write(file, bytes) {
        if (isFull && !isBeginning(bytes)) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
        return await file.write(bytes)
      },
    })
    const { open, countingOf, isWhole } = await setup(t, 'memory')
    const journal = await open({ disk })
    const usage = countingOf(journal)
    await issue(journal, 5)
    isFull = true
    for (let round = 0; round < 3; round += 1) {
      await eventually(() => journal.isAvailable(), 'it tries again')
      await assert.rejects(issue(journal, 1))
      await usage.flush()
    }
    isFull = false
    await eventually(() => journal.isAvailable(), 'it can')
    await issue(journal, 2)
    await usage.flush()
    await isWhole()
  })

  it('begins anew with another chain, and with one that was put back to an earlier state', async (t) => {
    const { disk, lose } = losingDisk()
    const { folder, open, store, countingOf } = await setup(t, 'memory')
    const journal = await open({ disk })
    const usage = countingOf(journal)
    const own = () => join(folder, journal.standing()?.instance ?? '')
    await issue(journal, 3)
    const earlier = `${folder}-earlier`
    cpSync(own(), earlier, { recursive: true })
    await issue(journal, 4)
    await usage.flush()
    assert.deepEqual(await countsIn(store), { issued: 7 })
    // They are gone with the folder, and must not be taken for others of the same numbers.
    await issue(journal, 6)
    const [instance, end] = [journal.standing()?.instance, journal.standing()?.head.n ?? 0]
    // Put back in a moment, as the journal sees it: its chain goes on with numbers that it has given before.
    rmSync(own(), { recursive: true })
    cpSync(earlier, own(), { recursive: true })
    lose()
    await untilAnotherFile(journal, folder)
    assert.equal(journal.standing()?.instance, instance)
    assert.ok((journal.standing()?.head.n ?? end) < end)
    await usage.flush()
    await issue(journal, 5)
    await usage.flush()
    assert.equal(usage.standing().waiting, 0)
    assert.deepEqual(await countsIn(store), { issued: 12 })
    rmSync(own(), { recursive: true })
    await untilAnotherFile(journal, folder)
    assert.notEqual(journal.standing()?.instance, instance)
    await issue(journal, 6)
    await usage.flush()
    assert.equal(usage.standing().waiting, 0)
    assert.deepEqual(await countsIn(store), { issued: 12 + (countsOf(folder).issued ?? 0) })
  })

  it('has nothing of a batch of which not all could be counted', () => {
    const records: WrittenBatch['records'] = ['alice', 'bob'].map((subject) => ({
      at: 0,
      counts: [{ ...refusal, outcome: 'issued', count: 1, subject }],
    }))
    const batch = { instance: 'ins_1', end: { seq: 1, bytes: 0 }, records, seconds: 0 }
    let isFaulty = false
    const fresh = createFreshRecords((environmentId, subject) => {
      if (isFaulty && subject === 'bob') throw new Error('A fault')
      return digest(environmentId, subject)
    })
    fresh.add({ ...batch, after: 1, upTo: 3 })
    isFaulty = true
    assert.throws(() => fresh.add({ ...batch, after: 3, upTo: 5 }))
    assert.equal(fresh.take('ins_1', 1), undefined)
    isFaulty = false
    fresh.add({ ...batch, after: 5, upTo: 7 })
    assert.equal(fresh.beginIn('ins_1'), 5)
    const found = fresh.take('ins_1', 5)
    assert.deepEqual([found?.upTo, found?.tally.total()], [7, 2])
    assert.equal(fresh.beginIn('ins_1'), undefined)
    // Numbers of another chain are other records.
    fresh.add({ ...batch, after: 7, upTo: 9 })
    fresh.add({ ...batch, instance: 'ins_2', after: 9, upTo: 11 })
    assert.equal(fresh.take('ins_1', 7), undefined)
    assert.deepEqual(fresh.take('ins_2', 9)?.tally.total(), 2)
  })

  it('leaves to the files what is too much, until the rest is taken', () => {
    const fresh = createFreshRecords(digest)
    let told = 0
    const add = (count: number) => {
      const records = Array.from({ length: count }, (_, index) => ({
        at: 0,
        counts: [
          { ...refusal, keyId: `kid_${told + index}`, outcome: 'issued', count: 1, subject: undefined },
        ],
      }))
      const [after, upTo] = [told, told + count]
      told = upTo
      fresh.add({ instance: 'ins_1', after, upTo, end: { seq: 1, bytes: upTo }, records, seconds: 0 })
    }
    add(600)
    add(400)
    for (const count of [1, 5_000, 1]) add(count)
    const found = fresh.take('ins_1', 0)
    assert.deepEqual([found?.upTo, found?.end.bytes, found?.tally.total()], [1_000, 1_000, 1_000])
    add(1_001)
    assert.equal(fresh.beginIn('ins_1'), undefined)
    const after = told
    add(10)
    assert.deepEqual([fresh.beginIn('ins_1'), fresh.take('ins_1', after)?.tally.total()], [after, 10])
  })

  it('comes behind what an earlier process has left, and needs no other file for it', async (t) => {
    const { open, store, countingOf, isWhole } = await setup(t, 'memory')
    const former = await open()
    await issue(former, 3)
    await former.close()
    const left = former.standing()?.head.n ?? 0
    const journal = await open()
    const usage = countingOf(journal)
    await issue(journal, 4)
    await usage.flush()
    assert.deepEqual(
      store.added.map(({ upTo }) => upTo),
      [left, journal.standing()?.head.n],
    )
    await isWhole()
  })

  it('goes on in the files where it ended, however much of them it has passed over', async (t) => {
    const { open, folder, store, countingOf, isWhole } = await setup(t, 'memory')
    const journal = await open({ rollBytes: 20_000 })
    const usage = countingOf(journal)
    for (let round = 0; round < 20; round += 1) {
      await issue(journal, 20)
      await usage.flush()
    }
    const [first = '', ...others] = filesIn(folder)
    assert.ok(others.length > 3)
    // What is read again from the beginning would be counted as damaged, and not at all.
    const before = new Map([first, ...others].map((path) => [path, readFileSync(path)]))
    for (const [path, bytes] of before) writeFileSync(path, Buffer.alloc(bytes.length, 'x'))
    for (let key = 0; key < 1_500; key += 1) void journal.append({ ...issuance, keyId: `kid_${key}` })
    await issue(journal, 1)
    await usage.flush()
    assert.deepEqual(await countsIn(store), { issued: 1_901 })
    for (const [path, bytes] of before) {
      writeFileSync(path, Buffer.concat([bytes, readFileSync(path).subarray(bytes.length)]))
    }
    await isWhole()
  })

  it('counts each token once, whatever comes', async (t) => {
    const chance = seededChance(t)
    for (let trial = 0; trial < inFull(400, 40); trial += 1) await tryOnce(chance)

    async function tryOnce(below: (count: number) => number): Promise<void> {
      const { open, folder, store, countingOf } = await setup(t, 'memory')
      let fault: ((file: OpenFile, bytes: Uint8Array) => Promise<number>) | undefined
      const disk: Disk = diskWith({ write: (file, bytes) => (fault ?? whole)(file, bytes) })
      const deps = { disk, rollBytes: 1_500 }
      let journal: Journal = await open(deps)
      let usage = countingOf(journal)
      let issued = 0
      let restarts = 0
      const some = async () => {
        const appended = Array.from({ length: 1 + below(5) }, async () => await journal.append(tokenOf('t')))
        for (const { status } of await Promise.allSettled(appended)) if (status === 'fulfilled') issued += 1
      }
      for (let step = 0; step < 25; step += 1) {
        switch (below(9)) {
          case 0:
            await usage.flush()
            break
          case 1:
            await Promise.all([some(), usage.flush()])
            break
          case 2:
            store.fail = (['before', 'after', undefined] as const)[below(3)]
            break
          case 3:
            fault = [whole, none, part, unsynced, beginnings][below(5)]
            break
          case 4:
            await usageOf(chainUsage(folder, store, endOf(journal)), store, quiet).flush()
            break
          case 5:
            restarts += 1
            await journal.close()
            journal = await open(deps)
            usage = countingOf(journal)
            break
          default:
            await some()
        }
      }
      fault = undefined
      store.fail = undefined
      await eventually(() => journal.isAvailable(), 'the journal recovers')
      await some()
      for (let look = 0; look < 3; look += 1) await usage.flush()
      assert.equal(usage.standing().waiting, 0)
      // What a process before has left behind counts, though nobody was told that it is safe.
      const reread = (await emptyStore(t)).store
      await usageOf(chainUsage(folder, reread, endOf(journal)), reread, quiet).flush()
      const counts = await countsIn(store)
      assert.deepEqual(counts, await countsIn(reread))
      assert.ok((counts.issued ?? 0) >= issued)
      if (restarts === 0) assert.deepEqual(counts, { issued })
      await journal.close()
    }
  })
})

function isBeginning(bytes: Uint8Array): boolean {
  return Buffer.from(bytes).includes('"type":"opened"')
}

const full = () => Object.assign(new Error('ENOSPC: it failed'), { code: 'ENOSPC' })

const whole = (file: OpenFile, bytes: Uint8Array) => file.write(bytes)

const none = async (): Promise<number> => {
  throw full()
}

const part = async (file: OpenFile, bytes: Uint8Array): Promise<number> => {
  await file.write(bytes.subarray(0, bytes.length / 2))
  throw full()
}

const unsynced = async (file: OpenFile, bytes: Uint8Array): Promise<number> => {
  await file.write(bytes)
  throw full()
}

const beginnings = async (file: OpenFile, bytes: Uint8Array): Promise<number> => {
  if (!isBeginning(bytes)) throw full()
  return await file.write(bytes)
}
