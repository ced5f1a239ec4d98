import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { createUpkeep } from '../../src/journal/upkeep.ts'
import { holdIfFree } from '../../src/store/hold.ts'
import { filesIn, journalFolderOf, tokenOf, verifyAll } from '../helpers/journal.ts'
import { drivenSeams } from '../helpers/seams.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

describe('old files of the journal', () => {
  it('are packed, kept for so many days, and then removed; the chain of the rest holds together', async (t) => {
    const { open, folder, told } = await journalFolderOf(t)
    const seams = drivenSeams()
    const { now, monotonic } = seams
    const journal = await open({ seams })
    for (const jti of ['a', 'b', 'c', 'd']) {
      await journal.append(tokenOf(jti))
      seams.advance(DAY_MS)
    }
    const before = filesIn(folder).map((path) => readFileSync(path))
    const log = { error: (fields: object) => told.push(['error', JSON.stringify(fields)]) }
    const own = () => ({ instance: journal.standing()?.instance ?? '', seq: 4 })
    // What a process that was killed while packing has left.
    writeFileSync(`${filesIn(folder)[0]}.gz.tmp`, 'half of it')
    const upkeep = createUpkeep({ folder, keepDays: 2, takeHold: holdIfFree, now, monotonic, log, own })
    await upkeep.pass()
    seams.advance(HOUR_MS)
    await upkeep.pass()
    const names = () => filesIn(folder).map((path) => basename(path).slice(7))
    // The clock stands at the 26th.
    assert.deepEqual(names(), ['3-2026-11-24.jsonl.gz', '4-2026-11-25.jsonl'])
    assert.deepEqual(gunzipSync(readFileSync(filesIn(folder)[0] ?? '')), before[2])
    assert.equal(existsSync(`${filesIn(folder)[1]}.gz.tmp`), false)
    const [chain] = await verifyAll(folder, [], '2026-11-24')
    assert.deepEqual([chain?.broken, chain?.records], [undefined, 4])
    assert.deepEqual(told, [])
    await upkeep.stop()
  })

  it('stay for the next pass when everything ends', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const { now, monotonic } = seams
    const journal = await open({ seams })
    for (const jti of ['a', 'b', 'c']) {
      await journal.append(tokenOf(jti))
      seams.advance(DAY_MS)
    }
    const own = () => ({ instance: journal.standing()?.instance ?? '', seq: 3 })
    const log = { error: () => assert.fail() }
    const upkeep = createUpkeep({ folder, keepDays: 1, takeHold: holdIfFree, now, monotonic, log, own })
    await upkeep.pass()
    seams.advance(HOUR_MS)
    const before = filesIn(folder)
    const pass = upkeep.pass()
    await Promise.all([pass, upkeep.stop()])
    assert.deepEqual(filesIn(folder), before)
  })

  it('outlive a clock that leaps ahead and is set right within the hour', async (t) => {
    const { open, folder, verify } = await journalFolderOf(t)
    const seams = drivenSeams()
    let leapMs = 0
    const now = () => seams.now() + leapMs
    const { monotonic, random } = seams
    const journal = await open({ seams: { now, monotonic, random } })
    let seq = 1
    const own = () => ({ instance: journal.standing()?.instance ?? '', seq })
    const log = { error: () => assert.fail() }
    const upkeep = createUpkeep({ folder, keepDays: 90, takeHold: holdIfFree, now, monotonic, log, own })
    await journal.append(tokenOf('a'))
    for (const ahead of [100 * DAY_MS, 0, 100 * DAY_MS]) {
      leapMs = ahead
      seq += 1
      await journal.append(tokenOf(`${ahead}`))
      await upkeep.pass()
      seams.advance(HOUR_MS - 1)
      await upkeep.pass()
    }
    const days = () => filesIn(folder).map((path) => basename(path).slice(9, 19))
    assert.deepEqual(days(), ['2026-11-22', '2027-03-02', '2026-11-22', '2027-03-02'])
    assert.equal((await verify())[0]?.broken, undefined)
    seams.advance(1)
    await upkeep.pass()
    assert.deepEqual(days(), ['2027-03-02', '2027-03-02'])
  })

  it('are packed anew when a kill has left both', async (t) => {
    const { open, folder, verify } = await journalFolderOf(t)
    const seams = drivenSeams()
    const journal = await open({ seams })
    await journal.append(tokenOf('a'))
    seams.advance(DAY_MS)
    await journal.append(tokenOf('b'))
    const [path = ''] = filesIn(folder)
    const bytes = readFileSync(path)
    writeFileSync(`${path}.gz`, 'the beginning of it')
    assert.equal((await verify())[0]?.broken, undefined)
    const own = () => ({ instance: journal.standing()?.instance ?? '', seq: 2 })
    const log = { error: () => assert.fail() }
    await createUpkeep({ folder, keepDays: 9, takeHold: holdIfFree, ...seams, log, own }).pass()
    assert.equal(existsSync(path), false)
    assert.deepEqual(gunzipSync(readFileSync(`${path}.gz`)), bytes)
  })

  it('of a process that ended are looked after by one of the others at a time', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const ended = await open({ seams })
    await ended.append(tokenOf('a'))
    await ended.close()
    seams.advance(DAY_MS)
    const log = { error: () => assert.fail() }
    const deps = { folder, keepDays: 2, ...seams, log, own: () => undefined }
    const [path = ''] = filesIn(folder)
    const bytes = readFileSync(path)
    // One that had listed the files before the other one was done.
    const takeHold = (lock: string) => {
      writeFileSync(`${path}.gz`, gzipSync(bytes))
      rmSync(path)
      return holdIfFree(lock)
    }
    await createUpkeep({ ...deps, takeHold }).pass()
    assert.deepEqual(filesIn(folder), [`${path}.gz`])
    assert.deepEqual(gunzipSync(readFileSync(`${path}.gz`)), bytes)
  })

  it('of a process that ended are looked after by the others from the next day on, and of a living one never', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const living = await open({ seams })
    const ended = await open({ seams })
    await ended.append(tokenOf('a'))
    await ended.close()
    const log = { error: () => assert.fail() }
    const deps = { folder, keepDays: 2, takeHold: holdIfFree, ...seams, log, own: () => undefined }
    const upkeep = createUpkeep(deps)
    const packed = () => filesIn(folder).map((path) => path.endsWith('.gz'))
    await upkeep.pass()
    assert.deepEqual(packed(), [false, false])
    seams.advance(DAY_MS)
    await upkeep.pass()
    const instances = filesIn(folder).map((path) => path.split('/').at(-2))
    assert.deepEqual(
      packed(),
      instances.map((instance) => instance !== living.standing()?.instance),
    )
  })
})
