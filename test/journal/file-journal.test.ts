import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { type OpenFile, systemDisk } from '../../src/journal/disk.ts'
import type { Refusal } from '../../src/journal/journal.ts'
import { diskWith } from '../helpers/disk.ts'
import { alert, eventually, filesIn, issuance, journalFolderOf, tokenOf } from '../helpers/journal.ts'
import { drivenSeams } from '../helpers/seams.ts'

const refusal: Refusal = { ...issuance, code: 'rate_limited' }

const isUnavailable = { error: 'journal_unavailable' }

describe('a journal in files', () => {
  it('has the record on the disk when it comes back, each with the hash of the one before', async (t) => {
    const { open, recordsIn, verify } = await journalFolderOf(t)
    const journal = await open()
    for (const jti of ['a', 'b']) {
      await journal.append(tokenOf(jti))
      assert.equal(recordsIn().at(-1)?.jti, jti)
    }
    const [chain] = await verify()
    assert.deepEqual([chain?.records, chain?.broken, chain?.head], [3, undefined, journal.standing()?.head])
  })

  it('writes many requests at once, and each only once', async (t) => {
    let writes = 0
    const disk = diskWith({
      write: async (file, bytes) => {
        writes += 1
        return await file.write(bytes)
      },
    })
    const { open, recordsIn } = await journalFolderOf(t)
    const journal = await open({ disk })
    const before = writes
    await Promise.all(Array.from({ length: 200 }, (_, index) => journal.append(tokenOf(`${index}`))))
    assert.deepEqual(
      recordsIn()
        .filter(({ type }) => type === 'issued')
        .map(({ jti }) => jti),
      Array.from({ length: 200 }, (_, index) => `${index}`),
    )
    assert.equal(writes - before, 1)
  })

  it('takes into a batch what the turns of the event loop bring, and waits for no turn that brings nothing', async (t) => {
    const batches: number[] = []
    const { open } = await journalFolderOf(t)
    const journal = await open({ onBatch: ({ records }) => void batches.push(records.length) })
    const recorded: (Promise<void> | void)[] = []
    const append = (jti: string) => recorded.push(journal.append(tokenOf(jti)))

    // Then the journal is idle, and counts its turns from the next record on.
    const rest = async () => {
      await Promise.all(recorded)
      for (let turns = 0; turns < 3; turns += 1) await nextTurn()
    }

    await rest()
    // A turn that was asked for before the record came is over before the journal's own.
    let over = nextTurn()
    append('first')
    await over
    append('in the next turn')
    await rest()
    assert.deepEqual(batches.splice(0), [2])

    over = nextTurn()
    append('alone')
    await over
    over = nextTurn()
    await over
    append('late')
    await rest()
    assert.deepEqual(batches.splice(0), [1, 1])

    // However many turns bring more, those that came first are not held up by them.
    for (let turns = 0; turns < 20; turns += 1) {
      over = nextTurn()
      append(`${turns}`)
      await over
    }
    await Promise.all(recorded)
    assert.equal(batches[0], 3)
  })

  it('writes a record soon, at whatever moment it came', { timeout: 20_000 }, async (t) => {
    // Without the look that would find it a quarter of a second later.
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { open, recordsIn } = await journalFolderOf(t)
    const journal = await open()
    for (let turns = 0; turns < 30; turns += 1) {
      await journal.append(tokenOf('before'))
      // At the end of one write lie moments in which nothing is written and the end is not known yet.
      for (let turn = 0; turn < turns; turn += 1) await undefined
      await journal.append(tokenOf(`${turns} turns behind`))
    }
    assert.equal(recordsIn().filter(({ type }) => type === 'issued').length, 60)
  })

  it('is not harmed by who listens to it', async (t) => {
    const { open, recordsIn, folder, told } = await journalFolderOf(t)
    const journal = await open({
      onBatch() {
        throw new Error('A fault of the listener')
      },
    })
    journal.refuse(refusal)
    await journal.append(tokenOf('a'))
    await journal.append(tokenOf('b'))
    await journal.close()
    assert.deepEqual(
      recordsIn().map(({ type, jti }) => (type === 'issued' ? jti : type)),
      ['opened', 'refused', 'a', 'b', 'closed'],
    )
    assert.equal(filesIn(folder).length, 1)
    assert.deepEqual(told.at(0), ['error', 'what was recorded could not be told of'])
  })

  it('takes nothing behind its last record, and begins no file for it', async (t) => {
    const { open, recordsIn, folder, told } = await journalFolderOf(t)
    const journal = await open()
    await journal.append(tokenOf('before'))
    const closed = journal.close().then(() => 'closed')
    // At whatever moment of its end it comes.
    do journal.alert(alert)
    while ((await Promise.race([closed, nextTurn()])) !== 'closed')
    journal.alert(alert)
    assert.equal(journal.isAvailable(), false)
    await assert.rejects(async () => journal.append(tokenOf('late')), isUnavailable)
    await sleep(100)
    assert.deepEqual(
      [recordsIn().at(-1)?.type, recordsIn().some(({ jti }) => jti === 'late'), filesIn(folder).length, told],
      ['closed', false, 1, []],
    )
  })

  it('goes on with its chain in a new file after a restart', async (t) => {
    const { open, folder, verify, recordsIn } = await journalFolderOf(t)
    for (const jti of ['a', 'b']) {
      const journal = await open()
      await journal.append(tokenOf(jti))
      await journal.close()
    }
    assert.equal(filesIn(folder).length, 2)
    assert.deepEqual(
      recordsIn().map(({ type, n }) => [n, type]),
      [
        [1, 'opened'],
        [2, 'issued'],
        [3, 'closed'],
        [4, 'opened'],
        [5, 'issued'],
        [6, 'closed'],
      ],
    )
    const [chain] = await verify()
    assert.deepEqual([chain?.files, chain?.records, chain?.broken, chain?.notes], [2, 6, undefined, []])
  })

  it('is never written by two processes: each has a chain of its own', async (t) => {
    const { open, verify } = await journalFolderOf(t)
    const journals = [await open(), await open(), await open()]
    await Promise.all(journals.map((journal, index) => journal.append(tokenOf(`${index}`))))
    const instances = new Set(journals.map((journal) => journal.standing()?.instance))
    assert.equal(instances.size, 3)
    assert.deepEqual(
      (await verify()).map(({ records, broken }) => [records, broken]),
      [
        [2, undefined],
        [2, undefined],
        [2, undefined],
      ],
    )
    // Whoever comes next takes the place of one that has ended.
    const ended = journals[1]?.standing()?.instance
    await journals[1]?.close()
    assert.equal((await open()).standing()?.instance, ended)
  })

  it('begins another file at a size, and with each day (UTC)', async (t) => {
    const { open, folder, verify, recordsIn } = await journalFolderOf(t)
    const seams = drivenSeams()
    const journal = await open({ seams, rollBytes: 500 })
    for (const jti of ['a', 'b', 'c']) await journal.append(tokenOf(jti))
    seams.advance(86_400_000)
    await journal.append(tokenOf('d'))
    const opened = recordsIn().filter(({ type }) => type === 'opened')
    assert.deepEqual(
      opened.map(({ because }) => because),
      ['start', 'size', 'size', 'day'],
    )
    assert.match(filesIn(folder)[3] ?? '', /00000004-2026-11-23\.jsonl$/)
    assert.deepEqual(
      (await verify()).map(({ records, broken }) => [records, broken]),
      [[8, undefined]],
    )
  })

  it('records a hundred refusals a second one by one, and the rest by their number', async (t) => {
    const { open, recordsIn } = await journalFolderOf(t)
    const seams = drivenSeams()
    const journal = await open({ seams })
    for (let count = 0; count < 250; count += 1) journal.refuse(refusal)
    for (let count = 0; count < 7; count += 1) journal.refuse({ ...refusal, code: 'beyond_grant' })
    seams.advance(1_000)
    journal.refuse(refusal)
    await journal.close()
    const refused = recordsIn().filter(({ type }) => type === 'refused')
    assert.deepEqual([refused.length, refused[0]?.code, refused[0]?.subject], [101, 'rate_limited', 'alice'])
    const [rest, ...more] = recordsIn().filter(({ type }) => type === 'refusals')
    const { environmentId, keyId, format } = issuance
    assert.deepEqual(more, [])
    assert.equal(rest?.count, 157)
    assert.deepEqual(rest?.counts, [
      { environmentId, keyId, format, code: 'rate_limited', count: 150 },
      { environmentId, keyId, format, code: 'beyond_grant', count: 7 },
    ])
  })

  it('ends behind what nobody waits for, though that was written again', async (t) => {
    let fail: (() => void) | undefined
    const disk = diskWith({
      write: (file, bytes) =>
        fail === undefined && Buffer.from(bytes).includes('"type":"alert"')
          ? new Promise((_, reject) => {
              fail = () => reject(new Error('EIO'))
            })
          : file.write(bytes),
    })
    const { open, recordsIn } = await journalFolderOf(t)
    const journal = await open({ disk })
    journal.alert(alert)
    await eventually(() => fail !== undefined, 'it is being written')
    const closing = journal.close()
    await nextTurn()
    fail?.()
    await closing
    assert.deepEqual(
      recordsIn()
        .map(({ type }) => type)
        .slice(-2),
      ['alert', 'closed'],
    )
  })

  it('refuses at once when too much waits, instead of filling memory', async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let isHeld = false
    const disk = diskWith({
      write: (file, bytes) => (isHeld ? promise.then(() => file.write(bytes)) : file.write(bytes)),
    })
    const { open } = await journalFolderOf(t)
    const journal = await open({ disk })
    isHeld = true
    const large = { ...issuance, policy: { channels: ['x'.repeat(2_000_000)] } }
    const waiting = Array.from({ length: 5 }, () => journal.append(large))
    assert.equal(journal.isAvailable(), false)
    assert.throws(() => journal.append(issuance), isUnavailable)
    resolve()
    await Promise.all(waiting)
    assert.equal(journal.isAvailable(), true)
  })

  it('refuses when the disk does not answer, and goes on when it does', async (t) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    let isHeld = false
    const disk = diskWith({
      write: async (file, bytes) => {
        if (isHeld) {
          asked.resolve()
          await promise
        }
        return await file.write(bytes)
      },
    })
    const seams = drivenSeams()
    const { open, told } = await journalFolderOf(t)
    t.after(() => resolve())
    const journal = await open({ disk, seams })
    isHeld = true
    const held = journal.append(issuance)
    await asked.promise
    seams.advance(5_001)
    await assert.rejects(async () => held, isUnavailable)
    assert.equal(journal.isAvailable(), false)
    resolve()
    await eventually(() => journal.isAvailable(), 'it goes on')
    await journal.append(tokenOf('b'))
    assert.deepEqual(told, [
      ['error', 'the journal cannot be written'],
      ['info', 'the journal can be written again'],
    ])
  })
})

describe('a journal whose disk fails', () => {
  const code = (name: string) => Object.assign(new Error(`${name}: it failed`), { code: name })

  const faults: [string, Parameters<typeof diskWith>[0]][] = [
    ['a write fails (EIO)', { write: async () => Promise.reject(code('EIO')) }],
    ['the disk is full (ENOSPC)', { write: async () => Promise.reject(code('ENOSPC')) }],
    ['a part is written, then the disk is full', { write: partly() }],
    ['nothing more is taken', { write: async () => 0 }],
    ['what was written does not reach the disk', { write: unsynced }],
    ['the file cannot be looked at', { identity: async () => Promise.reject(code('EACCES')) }],
  ]
  for (const [name, fault] of faults) {
    it(`lets no token leave when ${name}, and recovers by itself`, async (t) => {
      let isBroken = false
      const { open, told, verify, recordsIn } = await journalFolderOf(t)
      const journal = await open({ disk: diskWith(fault, () => isBroken) })
      await journal.append(tokenOf('a'))
      isBroken = true
      await assert.rejects(async () => await journal.append(tokenOf('b')), isUnavailable)
      await eventually(() => !journal.isAvailable(), 'it says so')
      assert.throws(() => journal.append(tokenOf('c')), isUnavailable)
      journal.refuse(refusal)
      isBroken = false
      await eventually(() => journal.isAvailable(), 'it recovers')
      await journal.append(tokenOf('d'))
      await journal.close()
      assert.deepEqual(told, [
        ['error', 'the journal cannot be written'],
        ['info', 'the journal can be written again'],
      ])
      const [chain] = await verify()
      assert.equal(chain?.broken, undefined)
      const again = recordsIn().find(({ because }) => because === 'recovery')
      assert.match(String(again?.fault), /./)
      // What was not acknowledged may be there or not; the rest is.
      const names = recordsIn().map(({ jti }) => jti)
      assert.deepEqual([names.includes('a'), names.includes('c'), names.includes('d')], [true, false, true])
      // A refusal that came meanwhile is not lost.
      assert.equal(recordsIn().find(({ type }) => type === 'refusals')?.count, 1)
    })
  }

  it('never believes a disk that is asked again: it writes elsewhere', async (t) => {
    let fails = 1
    const disk = diskWith({
      write: (file, bytes) => (fails-- === 0 ? unsynced(file, bytes) : file.write(bytes)),
    })
    const { open, folder, verify } = await journalFolderOf(t)
    const journal = await open({ disk })
    await assert.rejects(async () => await journal.append(tokenOf('a')), isUnavailable)
    await eventually(() => journal.isAvailable(), 'it recovers')
    await journal.append(tokenOf('b'))
    const [abandoned, current] = filesIn(folder)
    assert.match(readFileSync(abandoned ?? '', 'utf8'), /"jti":"a"/)
    assert.match(readFileSync(current ?? '', 'utf8'), /"jti":"b"/)
    const [chain] = await verify()
    assert.deepEqual([chain?.records, chain?.broken], [3, undefined])
    assert.match(chain?.notes[0] ?? '', /ends in 1 lines that were never acknowledged/)
  })

  it('leaves a file behind that is not in its place any more, while a write to it has not come back', async (t) => {
    const held = Promise.withResolvers<void>()
    t.after(() => held.resolve())
    let isBroken = false
    const disk = diskWith(
      {
        async write(file, bytes) {
          const taken = await file.write(bytes)
          await held.promise
          return taken
        },
        identity: async () => Promise.reject(code('ENOENT')),
      },
      () => isBroken,
    )
    const { open, folder, verify } = await journalFolderOf(t)
    const journal = await open({ disk })
    await journal.append(tokenOf('a'))
    isBroken = true
    await assert.rejects(async () => await journal.append(tokenOf('b')), isUnavailable)
    isBroken = false
    await eventually(() => journal.isAvailable(), 'it recovers')
    await journal.append(tokenOf('c'))
    held.resolve()
    await journal.append(tokenOf('d'))
    assert.match(readFileSync(filesIn(folder)[0] ?? '', 'utf8'), /"jti":"b"/)
    const [chain] = await verify()
    assert.deepEqual([chain?.records, chain?.broken], [5, undefined])
    assert.match(chain?.notes[0] ?? '', /ends in 1 lines that were never acknowledged/)
  })

  it('does not fill it with beginnings while it takes a beginning and no more', async (t) => {
    let writes = 0
    const disk = diskWith({
      write: async (file, bytes) => {
        if (bytes.length > 1_000) throw code('ENOSPC')
        writes += 1
        return await file.write(bytes)
      },
    })
    const { open, folder } = await journalFolderOf(t)
    const journal = await open({ disk })
    const large = { ...issuance, policy: { channels: ['x'.repeat(2_000)] } }
    await assert.rejects(async () => await journal.append(large), isUnavailable)
    await eventually(() => journal.isAvailable(), 'it recovers')
    assert.ok(filesIn(folder).length <= 3, `${writes}`)
  })

  it('starts all the same, and records as soon as it can', async (t) => {
    let isBroken = true
    const disk = {
      ...systemDisk,
      create: (path: string) => (isBroken ? Promise.reject(code('EROFS')) : systemDisk.create(path)),
    }
    const { open, told, verify, recordsIn } = await journalFolderOf(t)
    const journal = await open({ disk })
    assert.equal(journal.isAvailable(), false)
    journal.alert(alert)
    isBroken = false
    await eventually(() => journal.isAvailable(), 'it can')
    await journal.append(issuance)
    assert.deepEqual(
      recordsIn().map(({ type }) => type),
      ['opened', 'alert', 'issued'],
      'an alert waits: nobody tells of it a second time',
    )
    assert.deepEqual(
      told.map(([level]) => level),
      ['error', 'info'],
    )
    assert.equal((await verify())[0]?.broken, undefined)
  })
})

/** As the system does it when a disk fails: what was written can be read, and is not safe. */
async function unsynced(file: OpenFile, bytes: Uint8Array): Promise<number> {
  await file.write(bytes)
  throw Object.assign(new Error('EIO: it failed'), { code: 'EIO' })
}

function partly() {
  let isFull = false
  return async (file: OpenFile, bytes: Uint8Array) => {
    isFull = !isFull
    if (!isFull) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    return await file.write(bytes.subarray(0, 10))
  }
}
