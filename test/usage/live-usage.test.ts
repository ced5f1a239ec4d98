import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { journalUnavailable } from '../../src/journal/journal.ts'
import { noJournal } from '../../src/journal/no-journal.ts'
import { createLiveUsage } from '../../src/usage/live-usage.ts'
import { issuance, tokenOf } from '../helpers/journal.ts'
import { drivenSeams, START_MS } from '../helpers/seams.ts'
import { countsIn, digest, emptyStore, failing, refusal, usageOf } from './counted.ts'

async function setup(t: TestContext, mostKinds?: number) {
  const { store, log, told } = await emptyStore(t)
  const faulty = failing(store)
  const seams = drivenSeams()
  const source = createLiveUsage({ digest, seams, log, ...(mostKinds === undefined ? {} : { mostKinds }) })
  return { store: faulty, told, seams, source, usage: usageOf(source, faulty, log) }
}

describe('usage without a journal that can be read back', () => {
  it('is what was issued and refused, by minute', async (t) => {
    const { store, seams, source, usage } = await setup(t)
    const journal = source.count(noJournal)
    await journal.append(issuance)
    await journal.append(tokenOf('t2'))
    journal.refuse(refusal)
    assert.equal(usage.standing().waiting, 3)
    await usage.flush()
    seams.advance(60_000)
    await journal.append({ ...issuance, subject: issuance.keyId })
    await usage.close()
    assert.equal(usage.standing().waiting, 0)
    assert.deepEqual(await countsIn(store), { issued: 3, rate_limited: 1 })
    const { environmentId, keyId } = issuance
    const minute = START_MS / 60_000
    assert.deepEqual(await store.usage.minutes({ from: minute, to: minute + 2 }), [
      { environmentId, keyId, minute, issued: 2 },
      { environmentId, keyId, minute: minute + 1, issued: 1 },
    ])
    const [found] = await store.usage.subjects({ environmentId, from: 0, to: 2 ** 40 })
    assert.equal(found?.sketch.length, 3)
  })

  it('counts no token whose record could not be written', async (t) => {
    const { store, source, usage } = await setup(t)
    const journal = source.count({
      ...noJournal,
      append() {
        throw journalUnavailable()
      },
    })
    assert.throws(() => journal.append(issuance), { error: 'journal_unavailable' })
    await usage.flush()
    assert.deepEqual(await countsIn(store), {})
  })

  it('adds a batch once, whether the database was away, its answer was lost, or it was put back', async (t) => {
    const { store, source, usage } = await setup(t)
    const journal = source.count(noJournal)
    for (const fail of ['before', 'after', 'after', undefined] as const) {
      store.fail = fail
      await journal.append(issuance)
      await usage.flush()
      await journal.append(issuance)
      await usage.flush()
    }
    await usage.flush()
    assert.deepEqual(await countsIn(store), { issued: 8 })
    const anew = (await emptyStore(t)).store
    Object.assign(store.usage, anew.usage)
    await journal.append(issuance)
    await usage.flush()
    assert.deepEqual(await countsIn(anew), { issued: 1 })
  })

  it('writes all of it at its end, what waited for a database that was away included', async (t) => {
    const { store, source, usage } = await setup(t)
    const journal = source.count(noJournal)
    store.fail = 'before'
    await journal.append(issuance)
    await usage.flush()
    await journal.append(issuance)
    store.fail = undefined
    await usage.close()
    assert.deepEqual(await countsIn(store), { issued: 2 })
  })

  it('says how much it did not count, when too many kinds wait', async (t) => {
    const { store, told, source, usage } = await setup(t, 4)
    const journal = source.count(noJournal)
    for (let key = 0; key < 9; key += 1) await journal.append({ ...issuance, keyId: `kid_${key}` })
    await usage.flush()
    // Three keys, and the day's subjects.
    assert.deepEqual(await countsIn(store), { issued: 3 })
    assert.deepEqual(told, [['warn', 'some usage is not counted: too much waited for the database']])
    await journal.append(issuance)
    await usage.flush()
    assert.deepEqual(await countsIn(store), { issued: 4 })
  })
})
