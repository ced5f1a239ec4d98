import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { systemDisk } from '../../src/journal/disk.ts'
import type { Journal } from '../../src/journal/journal.ts'
import {
  eventually,
  filesIn,
  issuance,
  journalFolderOf,
  readFile,
  readRecords,
  tokenOf,
} from '../helpers/journal.ts'

/** What happens to the file that is written, and how `verify` judges what is there afterwards. */
const accidents: [string, (path: string) => void, RegExp][] = [
  ['removed', (path) => rmSync(path), /^missing/],
  ['renamed', (path) => renameSync(path, `${path}.1`), /^missing/],
  [
    'replaced by a copy',
    (path) => {
      copyFileSync(path, `${path}.new`)
      renameSync(`${path}.new`, path)
    },
    /^undefined/,
  ],
  [
    'replaced by an empty one',
    (path) => {
      rmSync(path)
      writeFileSync(path, '')
    },
    /^missing/,
  ],
  [
    'copied and truncated, as logrotate does',
    (path) => {
      copyFileSync(path, `${path}.1`)
      truncateSync(path)
    },
    /^missing/,
  ],
  ['removed with its folder', (path) => rmSync(dirname(path), { recursive: true }), /^undefined/],
  ['removed with every journal', (path) => rmSync(dirname(dirname(path)), { recursive: true }), /^undefined/],
]

describe('a file of the journal that somebody touched', () => {
  for (const [name, accident, verdict] of accidents) {
    it(`takes no token when it is ${name}: records go elsewhere`, async (t) => {
      const { open, folder, verify } = await journalFolderOf(t)
      const journal = await open()
      await journal.append(tokenOf('a'))
      accident(filesIn(folder)[0] ?? '')
      // Either the next one is refused, or the journal has noticed by itself.
      const held = await mint(journal, ['b', 'c', 'd'])
      await eventually(() => journal.isAvailable(), 'it recovers')
      held.push(...(await mint(journal, ['e'])))
      assert.ok(held.includes('e'))
      const recorded = readRecords(folder).map(({ jti }) => jti)
      for (const jti of held) assert.ok(recorded.includes(jti), jti)
      const broken = (await verify()).find((chain) => chain.broken !== undefined)?.broken
      assert.match(`${broken?.reason}: ${broken?.detail}`, verdict)
    })
  }

  for (const [whom, isTaken] of [
    ['nobody else', false],
    ['another process', true],
  ] as const) {
    it(`is written by one process alone when its lock was taken away and ${whom} has taken it`, async (t) => {
      const { open, folder, told, verify } = await journalFolderOf(t)
      const journal = await open()
      await journal.append(tokenOf('a'))
      const instance = journal.standing()?.instance
      rmSync(join(folder, instance ?? '', 'lock'))
      const other = isTaken ? await open() : undefined
      assert.equal(other?.standing()?.instance, isTaken ? instance : undefined)
      // Under steady traffic too, which looks at the file that it writes.
      const notices = async () => {
        if (!isTaken) await mint(journal, ['x'])
        return told.length > 0
      }
      await eventually(notices, 'it notices by itself')
      assert.match(JSON.stringify(told), /cannot be written/)
      await eventually(() => journal.isAvailable(), 'it goes on')
      assert.equal(journal.standing()?.instance === instance, !isTaken)
      for (const each of [journal, other]) await each?.append(tokenOf('b'))
      const chains = await verify()
      assert.deepEqual(
        chains.map(({ broken, notes }) => [broken, notes]),
        chains.map(() => [undefined, []]),
      )
      assert.equal(existsSync(join(folder, journal.standing()?.instance ?? '', 'lock')), true)
    })
  }

  it('is missed by itself, before anybody asks for a token', async (t) => {
    const { open, folder, told } = await journalFolderOf(t)
    const journal = await open()
    rmSync(filesIn(folder)[0] ?? '')
    await eventually(() => told.length === 2, 'it noticed')
    assert.deepEqual(await mint(journal, ['a']), ['a'])
    assert.equal(readRecords(folder).at(-1)?.jti, 'a')
  })

  it('may lie where the next one would begin: that one begins behind it', async (t) => {
    const { open, folder, told, verify } = await journalFolderOf(t)
    const journal = await open({ rollBytes: 1 })
    const [path = ''] = filesIn(folder)
    writeFileSync(path.replace('00000001', '00000002'), '')
    const held = await mint(journal, ['a'])
    await eventually(() => told.length === 2, 'it recovers')
    held.push(...(await mint(journal, ['b'])))
    assert.ok(held.includes('b'))
    const recorded = readRecords(folder).flatMap(({ jti }) => jti ?? [])
    assert.deepEqual(recorded, held)
    assert.equal((await verify())[0]?.broken, undefined)
  })

  it('may be made unchangeable: it refuses until another one can be begun', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const journal = await open()
    const path = filesIn(folder)[0] ?? ''
    const set = (flag: '+i' | '-i', where: string) =>
      execFileSync('chattr', [flag, where], { stdio: 'ignore' })
    try {
      set('+i', path)
      set('+i', dirname(path))
    } catch {
      t.skip('chattr cannot be used here')
      return
    }
    try {
      assert.deepEqual(await mint(journal, ['a']), [])
      await eventually(() => !journal.isAvailable(), 'it says so')
    } finally {
      set('-i', dirname(path))
      set('-i', path)
    }
    await eventually(() => journal.isAvailable(), 'it recovers')
    assert.deepEqual(await mint(journal, ['b']), ['b'])
  })

  it('may be /dev/full: no token leaves', {
    skip: !existsSync('/dev/full') && 'there is no /dev/full',
  }, async (t) => {
    let isFull = false
    const disk = {
      ...systemDisk,
      async create(path: string) {
        const file = await systemDisk.create(path)
        const full = await open('/dev/full', 'a')
        return {
          ...file,
          write: async (bytes: Uint8Array) =>
            isFull ? (await full.write(bytes)).bytesWritten : file.write(bytes),
          close: async () => {
            await full.close()
            await file.close()
          },
        }
      },
    }
    const { open: openJournal, folder } = await journalFolderOf(t)
    const journal = await openJournal({ disk })
    isFull = true
    assert.deepEqual(await mint(journal, ['a', 'b']), [])
    await eventually(() => !journal.isAvailable(), 'it says so')
    isFull = false
    await eventually(() => journal.isAvailable(), 'it recovers')
    assert.deepEqual(await mint(journal, ['c']), ['c'])
    const again = readRecords(folder).find(({ because }) => because === 'recovery')
    assert.match(String(again?.fault), /ENOSPC/)
  })
})

describe('what a killed process left behind', () => {
  const tails: [string, string][] = [
    ['half a record', '{"v":1,"at":"2026-11-22T12:00:00.000Z","prev":"0000'],
    ['zeros, as after a loss of power', '\0'.repeat(100_000)],
    ['zeros and a line’s end', `${'\0'.repeat(4_096)}\n\0\0`],
  ]
  for (const [name, tail] of tails) {
    it(`is closed by the next start: ${name}`, async (t) => {
      const { open, folder, verify } = await journalFolderOf(t)
      const journal = await open()
      await journal.append(tokenOf('a'))
      await journal.close()
      const [path = ''] = filesIn(folder)
      writeFileSync(path, tail, { flag: 'a' })
      const [before] = await verify()
      if (!tail.includes('\n')) {
        assert.equal(before?.broken, undefined)
        assert.match(before?.notes[0] ?? '', /ends in a torn line/)
      }
      const next = await open()
      await next.append(tokenOf('b'))
      const [after] = await verify()
      assert.equal(after?.broken, undefined)
      assert.equal(after?.records, 6)
      const [torn] = readFile(filesIn(folder).at(-1) ?? '').filter(({ type }) => type === 'torn')
      assert.deepEqual([torn?.file, torn?.bytes], [path.split('/').at(-1), Buffer.byteLength(tail)])
    })
  }

  it('may be a file without a record, or one that is empty', async (t) => {
    const { open, folder, verify } = await journalFolderOf(t)
    const journal = await open()
    await journal.append(tokenOf('a'))
    const head = journal.standing()?.head
    await journal.close()
    const instance = dirname(filesIn(folder)[0] ?? '')
    writeFileSync(`${instance}/00000002-2026-11-22.jsonl`, '{"v":1,"at"')
    writeFileSync(`${instance}/00000003-2026-11-22.jsonl`, '')
    assert.equal((await verify())[0]?.broken, undefined)
    const next = await open()
    assert.equal(next.standing()?.head.n, (head?.n ?? 0) + 3)
    assert.equal((await verify())[0]?.broken, undefined)
    // Some may be packed by now.
    const files = readdirSync(instance).flatMap((name) => /^(.*\.jsonl)(\.gz)?$/.exec(name)?.[1] ?? [])
    assert.equal(new Set(files).size, 4)
  })

  it('in a folder that is no instance is left alone', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    mkdirSync(`${folder}/lost+found`, { recursive: true })
    const journal = await open()
    await journal.append(issuance)
    assert.deepEqual(readdirSync(`${folder}/lost+found`), [])
  })
})

/** The names of those tokens that left. */
async function mint(journal: Journal, names: readonly string[]): Promise<string[]> {
  const held: string[] = []
  for (const jti of names) {
    try {
      await journal.append(tokenOf(jti))
      held.push(jti)
    } catch (error) {
      assert.match(String(error), /cannot be written/)
    }
  }
  return held
}
