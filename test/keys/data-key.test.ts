import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { generateMasterKey, readMasterKeys } from '../../src/keys/master-key.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { drivenSeams } from '../helpers/seams.ts'

describe('the data key', () => {
  it('is made once, by whoever is first', async (t) => {
    const seams = drivenSeams()
    const path = join(await temporaryFolder(t), 'jeton.db')
    const masterKey = seams.random(32)
    const stores = [openSqlite(path), openSqlite(path)]
    const [one, two] = await Promise.all(stores.map((store) => openDataKey(store, [masterKey], seams)))
    assert.ok(one && two)
    assert.deepEqual(two.open(one.seal(Buffer.from('x'), 'row'), 'row'), Buffer.from('x'))
    for (const store of stores) await store.close()
  })

  it('does not open under another master key, and nothing changes then', async (t) => {
    const seams = drivenSeams()
    const path = join(await temporaryFolder(t), 'jeton.db')
    const first = openSqlite(path)
    const sealer = await openDataKey(first, [seams.random(32)], seams)
    await createEnvironments({ store: first, sealer, seams }).create('One')
    await first.close()
    const before = readFileSync(path)
    const second = openSqlite(path)
    await assert.rejects(openDataKey(second, [seams.random(32)], seams), { name: 'SealError' })
    await second.close()
    assert.deepEqual(readFileSync(path), before)
  })
})

describe('the generated master key', () => {
  it('is one for all processes that generate it at once', async (t) => {
    const folder = await temporaryFolder(t)
    const made = await Promise.all([1, 2, 3].map(() => generateMasterKey(folder, drivenSeams())))
    const kept = await readMasterKeys(folder)
    for (const key of made) assert.deepEqual(key, kept)
  })
})
