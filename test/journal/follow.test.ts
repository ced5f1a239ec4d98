import assert from 'node:assert/strict'
import { readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { follow } from '../../src/journal/follow.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { readSqliteRecords } from '../../src/store/read-records.ts'
import { eventually, filesIn, journalFolderOf, tokenOf } from '../helpers/journal.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { environment } from '../store/contract.ts'

/** A journal in files, records of changes, and what follows both. */
async function followed(t: TestContext, last: number, options: { rollBytes?: number } = {}) {
  const { open, folder } = await journalFolderOf(t)
  const databases = await temporaryFolder(t)
  const store = openSqlite(join(databases, 'jeton.db'))
  t.after(() => store.close())
  await store.prepare()
  // What is read has a name of its own, so that it can go and come back while the store goes on.
  const name = join(databases, 'name.db')
  const show = () => symlinkSync(join(databases, 'jeton.db'), name)
  show()
  const records = await readSqliteRecords(name, (error) => error)
  let changed = 0
  const change = async (id = `env_${++changed}`) =>
    await store.change((changes) => changes.insertEnvironment({ ...environment, id, name: id }))
  const faults: unknown[] = []
  const told: string[] = []
  const ending = new AbortController()
  const begin = () => {
    const running = (async () => {
      for await (const { line } of follow(folder, last, ending.signal, records, (fault) =>
        faults.push(fault),
      )) {
        const { type, jti, changes } = JSON.parse(line)
        told.push(jti ?? changes?.[0].environmentId ?? type)
      }
    })()
    t.after(async () => {
      ending.abort()
      await running
    })
  }
  const tells = (...names: readonly string[]) =>
    eventually(() => names.every((one) => told.includes(one)), `${names} in ${told}`)
  return {
    journal: await open(options),
    folder,
    change,
    begin,
    told,
    tells,
    faults,
    hide: () => unlinkSync(name),
    show,
  }
}

describe('who follows the journal', () => {
  it('sees as many as it asked for when the last files hold few', async (t) => {
    const { journal, begin, told, tells } = await followed(t, 20, { rollBytes: 1 })
    for (const jti of ['a', 'b', 'c', 'd', 'e']) await journal.append(tokenOf(jti))
    begin()
    await tells('e')
    await journal.append(tokenOf('f'))
    await tells('f')
    assert.deepEqual(
      told.filter((one) => one !== 'opened'),
      ['a', 'b', 'c', 'd', 'e', 'f'],
    )
  })

  it('sees the newest records though an older file is damaged', async (t) => {
    const { journal, folder, begin, told, tells } = await followed(t, 20, { rollBytes: 1 })
    for (const jti of ['a', 'b', 'c']) await journal.append(tokenOf(jti))
    const path = filesIn(folder).find((path) => readFileSync(path, 'utf8').includes('"jti":"a"')) ?? ''
    writeFileSync(`${path}.gz`, 'not packed')
    rmSync(path)
    begin()
    await tells('b', 'c')
    assert.equal(told.includes('a'), false)
  })

  it('sees the last tokens and changes in the order of time, and then every new one of both', async (t) => {
    const { journal, change, begin, told, tells } = await followed(t, 2)
    await change()
    await change()
    const changedAt = Date.now()
    await eventually(() => Date.now() > changedAt, 'a later millisecond')
    await journal.append(tokenOf('a'))
    begin()
    await tells('env_2', 'a')
    await change()
    await tells('env_3')
    await journal.append(tokenOf('b'))
    await tells('b')
    assert.deepEqual(told, ['env_2', 'a', 'env_3', 'b'])
  })

  it('sees tokens while the database is away, is told so once, and misses no change of that time', async (t) => {
    const { journal, change, begin, told, tells, faults, hide, show } = await followed(t, 10)
    await change()
    begin()
    await tells('env_1')
    hide()
    await change()
    await journal.append(tokenOf('a'))
    await tells('a')
    await journal.append(tokenOf('b'))
    await tells('b')
    assert.deepEqual([faults.length, told.includes('env_2')], [1, false])
    assert.match(String(faults[0]), /There is no database/)
    show()
    await tells('env_2')
    assert.deepEqual([faults.length, faults[1]], [2, undefined])
    assert.equal(told.length, new Set(told).size)
  })
})
