import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createReplay, type RecordedMinute } from '../../src/alerts/replay.ts'
import { createSpikeWatch } from '../../src/alerts/watch.ts'
import type { AlertRecord } from '../../src/journal/journal.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { drivenSeams, START_MS, seededChance } from '../helpers/seams.ts'
import { countUsage } from '../helpers/usage-counts.ts'
import { courseOf, FIRST_MINUTE, type Shape } from './courses.ts'

const SEED = 1
/** Where the clock begins. */
const START = START_MS / 60_000

/** A database, and processes that look for spikes in it. */
async function setup(t: TestContext) {
  const seams = drivenSeams()
  const store = openSqlite(':memory:')
  t.after(() => store.close())
  await store.prepare()
  const process = (notifies = false) => {
    const told: [level: string, message: string][] = []
    const records: AlertRecord[] = []
    const log = {
      info: (_: object, message: string) => told.push(['info', message]),
      warn: (_: object, message: string) => told.push(['warn', message]),
    }
    const journal = { alert: (record: AlertRecord) => records.push(record) }
    return { ...createSpikeWatch({ store, journal, seams, log, notifies }), told, records }
  }
  const mint = (
    issued: number,
    minute = Math.floor(seams.now() / 60_000),
    keyId = 'kid_1',
    environmentId = 'env_1',
  ) => countUsage(store, [{ environmentId, keyId, minute, issued }])
  /** The hour before, in which a key had so many tokens a minute. */
  const usual = (issued: number, keyId = 'kid_1') =>
    countUsage(
      store,
      Array.from({ length: 60 }, (_, ago) => ({
        environmentId: 'env_1',
        keyId,
        minute: START - 1 - ago,
        issued,
      })),
    )
  return { seams, store, process, mint, usual }
}

describe('a watch', () => {
  it('raises a spike once, over all processes, within its minute', async (t) => {
    const { process, mint, usual, store, seams } = await setup(t)
    await usual(10)
    const processes = [process(), process(), process()]
    await mint(49)
    for (const { look, open } of processes) {
      await look()
      assert.equal(open(), 0)
    }
    seams.advance(5_000)
    await mint(1)
    await Promise.all(processes.map(({ look }) => look()))
    for (const { look } of processes) await look()
    assert.deepEqual(processes.map(({ raised }) => raised()).toSorted(), [0, 0, 1])
    assert.deepEqual(
      processes.map(({ open }) => open()),
      [1, 1, 1],
    )
    const [alert] = await store.alerts.list(0)
    assert.deepEqual(
      processes.flatMap(({ records }) => records),
      [
        {
          event: 'raised',
          alertId: alert?.id,
          environmentId: 'env_1',
          keyId: 'kid_1',
          minute: '2026-11-22T12:00:00Z',
          issued: 50,
          median: 10,
        },
      ],
    )
    assert.deepEqual(
      processes.flatMap(({ told }) => told),
      [['warn', 'issuance spikes']],
    )
  })

  it('closes it once when it is calm, and says how high it went', async (t) => {
    const { process, mint, usual, seams } = await setup(t)
    await usual(10)
    const [one, other] = [process(), process()]
    await mint(60)
    await one.look()
    seams.advance(60_000)
    await mint(700)
    await one.look()
    for (let minutes = 0; minutes < 6; minutes += 1) {
      seams.advance(60_000)
      await mint(10)
      await other.look()
      assert.equal(other.open(), 1)
    }
    seams.advance(60_000)
    await Promise.all([one.look(), other.look()])
    await one.look()
    assert.deepEqual([one.open(), other.open()], [0, 0])
    const closed = [...one.records, ...other.records].filter(({ event }) => event === 'closed')
    assert.equal(closed.length, 1)
    const [{ closedMinute, why, peak } = {}] = closed
    assert.deepEqual([closedMinute, why, peak], ['2026-11-22T12:06:00Z', 'calm', 700])
    assert.deepEqual([...one.told, ...other.told].at(-1), ['info', 'issuance spike is over'])
  })

  it('does not raise the same minute again when the process that knows of it has ended', async (t) => {
    const { process, mint, store, seams } = await setup(t)
    await mint(90)
    await process().look()
    seams.advance(90_000)
    await process().look()
    assert.equal((await store.alerts.list(0)).length, 1)
  })

  it('rings for counts that come when their minute is over, and not for those that come later', async (t) => {
    const { process, mint, store, seams } = await setup(t)
    const { look } = process()
    await look()
    seams.advance(60_000)
    await mint(90, START)
    seams.advance(59_000)
    await look()
    assert.deepEqual(
      (await store.alerts.list(0)).map(({ minute }) => minute),
      [START],
    )
    await mint(90, START - 1, 'kid_2')
    await look()
    assert.equal((await store.alerts.list(0)).length, 1)
  })

  it('sees what was read before grow', async (t) => {
    const { process, mint, usual } = await setup(t)
    await usual(20)
    const { look, open } = process()
    await mint(60)
    await look()
    assert.equal(open(), 0)
    await mint(20)
    await look()
    assert.equal(open(), 1)
  })

  it('tells of many keys that spike together once, and with many that ring alone of eleven', async (t) => {
    const { process, mint, seams, store } = await setup(t)
    const { look, open } = process()
    for (let key = 0; key < 5; key += 1) await mint(15, START, `kid_${key}`)
    await look()
    assert.equal(open(), 0)
    seams.advance(60_000)
    await look()
    const [alert] = await store.alerts.list(0)
    assert.deepEqual([open(), alert?.keyId, alert?.issued, alert?.minute], [1, '', 75, START])
    for (let key = 0; key < 30; key += 1) await mint(80, START + 1, `kid_${key}`, 'env_2')
    await look()
    await look()
    const second = (await store.alerts.list(0)).filter(({ environmentId }) => environmentId === 'env_2')
    assert.equal(second.length, 11)
    assert.equal(second.filter(({ keyId }) => keyId === '').length, 1)
  })

  it('goes on when the clock steps back, and raises nothing anew for it', async (t) => {
    const { process, mint, usual, seams, store } = await setup(t)
    await usual(10)
    const { look, open } = process()
    await mint(90)
    await look()
    seams.advance(-600_000)
    await look()
    assert.equal(open(), 1)
    seams.advance(600_000)
    await look()
    assert.deepEqual([open(), (await store.alerts.list(0)).length], [1, 1])
  })

  it('keeps a notice of each for whoever is to be told, and none otherwise', async (t) => {
    const { process, mint, store, seams } = await setup(t)
    await mint(90, START, 'kid_1')
    await process(false).look()
    assert.equal(await store.alerts.takeNotice(Number.MAX_SAFE_INTEGER, 0), undefined)
    await mint(90, START, 'kid_2')
    const { look, records } = process(true)
    await look()
    const notice = await store.alerts.takeNotice(seams.now(), Number.MAX_SAFE_INTEGER)
    const [record] = records
    assert.equal(notice?.id, `${record?.alertId}_raised`)
    const { type, timestamp, data } = JSON.parse(notice?.body ?? '')
    assert.deepEqual([type, timestamp], ['spike.raised', '2026-11-22T12:00:00.000Z'])
    assert.deepEqual({ event: 'raised', ...data }, record)
  })

  it('comes to what the replay of the same traffic comes to', async (t) => {
    const { process, seams, store } = await setup(t)
    const chance = seededChance(t, SEED)
    const courses: [string, Shape][] = [
      ['kid_steady', () => 12],
      ['kid_leak', (minute) => (minute >= 90 && minute < 110 ? 300 : 2)],
      ['kid_launch', (minute) => (minute < 100 ? 1 : 200)],
    ]
    const shift = START - FIRST_MINUTE
    const recorded: RecordedMinute[] = courses
      .flatMap(([keyId, shape]) => courseOf(shape, 260, chance, { keyId }))
      .map(({ minute, ...rest }) => ({ ...rest, minute: minute + shift }))
      .toSorted((one, other) => one.minute - other.minute)
    const { look } = process()
    const replay = createReplay(START)
    for (let minute = START; minute < START + 260; minute += 1) {
      await countUsage(
        store,
        recorded.filter((one) => one.minute === minute),
      )
      await look()
      seams.advance(60_000)
    }
    for (const one of recorded) replay.take(one)
    const kept = (await store.alerts.list(0)).map(({ id, ...alert }) => alert)
    const replayed = replay.end()
    assert.deepEqual(
      kept.map(({ peak, ...alert }) => alert),
      replayed.map(({ peak, ...alert }) => alert),
    )
    assert.deepEqual(kept.map(({ keyId, why }) => `${keyId} ${why}`).toSorted(), [
      'kid_launch new_level',
      'kid_leak calm',
    ])
    assert.deepEqual(
      kept.map(({ peak }) => peak),
      replayed.map(({ peak }) => peak),
    )
  })
})
