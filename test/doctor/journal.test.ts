import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { checkConfig } from '../../src/config.ts'
import { checksOf, examineJournal } from '../../src/doctor/journal.ts'
import { filesIn, journalFolderOf, readerOf, tokenOf } from '../helpers/journal.ts'
import { temporaryFolder } from '../helpers/process.ts'

/** A journal with a few records, and what a look at it finds. */
async function setup(t: TestContext) {
  const { folder, open } = await journalFolderOf(t)
  const journal = await open()
  for (const jti of ['a', 'b', 'c']) await journal.append(tokenOf(jti))
  const [path = ''] = filesIn(folder)
  const look = () => examineJournal(checkConfig({ DATA_DIR: dirname(folder) }))
  return { folder, journal, path, look }
}

async function faultsOf(look: () => ReturnType<typeof examineJournal>): Promise<string[]> {
  return (await look()).flatMap(({ state, what, how }) => (state === 'mend' ? [`${what} → ${how}`] : []))
}

describe('a look at the journal', () => {
  it('finds nothing to mend while it is written, after a kill in a line, and changes nothing', async (t) => {
    const { path, look } = await setup(t)
    const [room, end, ...others] = await look()
    assert.match(room?.what ?? '', /can be written to, and has \d+ MB free$/)
    assert.match(end?.what ?? '', /chain ins_\w{16} holds together \(00000001-.*\.jsonl\)$/)
    assert.deepEqual(others, [])
    writeFileSync(path, '{"at":"2026', { flag: 'a' })
    const before = readFileSync(path)
    assert.deepEqual(await faultsOf(look), [])
    assert.deepEqual(readFileSync(path), before)
  })

  for (const [what, edit, expected] of [
    ['a line that was edited', (text: string) => text.replace('"jti":"b"', '"jti":"x"'), /: line 4 does not/],
    ['a line that is gone', (text: string) => text.replace(/^.*"jti":"b".*\n/m, ''), /: line 3 does not/],
    ['what is no record', (text: string) => `${text}nothing\n`, /: line 5 is no record/],
  ] as const) {
    it(`finds ${what}`, async (t) => {
      const { path, look } = await setup(t)
      writeFileSync(path, edit(readFileSync(path, 'utf8')))
      const [fault = '', ...others] = await faultsOf(look)
      assert.match(fault, expected)
      assert.match(fault, /→ .*`jeton journal verify`/)
      assert.deepEqual(others, [])
    })
  }

  it('looks at what is left when a file is removed meanwhile, as it is when it is old enough', async (t) => {
    for (const left of ['none', 'whole', 'edited'] as const) {
      const { path, look } = await setup(t)
      const newest = path.replace('00000001', '00000002')
      copyFileSync(path, newest)
      if (left === 'edited') writeFileSync(path, 'nothing\n', { flag: 'a' })
      const reader = readerOf(newest)
      const faults = faultsOf(look)
      const letGo = await reader
      rmSync(newest)
      if (left === 'none') rmSync(path)
      await letGo()
      assert.equal((await faults).length, left === 'edited' ? 1 : 0, left)
    }
  })

  it('finds a packed file that is damaged', async (t) => {
    const { path, look } = await setup(t)
    rmSync(path)
    writeFileSync(`${path}.gz`, 'not packed')
    assert.match((await faultsOf(look)).join(), /it cannot be read: .* → keep a copy/)
  })

  it('finds what is in the place of its folder', async (t) => {
    const dataDir = await temporaryFolder(t)
    writeFileSync(join(dataDir, 'journal'), '')
    const faults = await faultsOf(() => examineJournal(checkConfig({ DATA_DIR: dataDir })))
    assert.match(faults.join(), /cannot be used: .*→ let Jeton’s user read and write/)
  })

  it('finds a disk that is nearly full', () => {
    const stateWith = (freeBytes: number) => checksOf('journal', { freeBytes, chains: [] })[0]?.state
    assert.deepEqual([stateWith(300_000_000), stateWith(200_000_000)], ['ok', 'mend'])
  })

  it('asks for no folder where none is written to, or none was made yet', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    for (const [JOURNAL, expected] of [
      ['off', /^the journal is off/],
      ['stdout', /standard output/],
      ['file', /is not there yet/],
    ] as const) {
      const [check, ...others] = await examineJournal(checkConfig({ DATA_DIR, JOURNAL }))
      assert.equal(check?.state, 'ok')
      assert.match(check.what, expected)
      assert.deepEqual(others, [])
    }
  })
})
