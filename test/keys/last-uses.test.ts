import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { createLastUses } from '../../src/keys/last-uses.ts'
import { createLog } from '../../src/log.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { drivenSeams, START_MS } from '../helpers/seams.ts'

async function setup(t: TestContext) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const seams = drivenSeams()
  const store = openSqlite(path)
  t.after(() => store.close())
  const sealer = await openDataKey(store, [seams.random(32)], seams)
  const { keyId } = await createEnvironments({ store, sealer, seams }).create('One')
  const lines: { level: string; msg: string }[] = []
  const log = createLog('info', { write: (line) => lines.push(JSON.parse(line)) })
  // A database that can be taken away.
  const state = { broken: false }
  const noteUses: Store['noteUses'] = (uses) =>
    state.broken ? Promise.reject(new Error('disk full')) : store.noteUses(uses)
  const lastUses = createLastUses({ store: { noteUses }, now: seams.now, log })
  const lastUsedAt = async () => (await store.findApiKey(keyId))?.lastUsedAt
  const messages = () => lines.map(({ level, msg }) => `${level}: ${msg}`)
  return { path, seams, store, keyId, lastUses, lastUsedAt, state, messages }
}

describe('the last use of a key', () => {
  it('is kept to the minute, when it is written', async (t) => {
    const { lastUses, lastUsedAt, seams, keyId } = await setup(t)
    seams.advance(61_234)
    lastUses.note(keyId)
    assert.equal(await lastUsedAt(), undefined)
    await lastUses.flush()
    assert.equal(await lastUsedAt(), START_MS + 60_000)
  })

  it('is the latest of many', async (t) => {
    const { lastUses, lastUsedAt, seams, keyId } = await setup(t)
    for (let minute = 0; minute < 3; minute += 1) {
      lastUses.note(keyId)
      seams.advance(60_000)
    }
    await lastUses.flush()
    assert.equal(await lastUsedAt(), START_MS + 120_000)
  })

  it('is there after a restart', async (t) => {
    const { lastUses, keyId, path } = await setup(t)
    lastUses.note(keyId)
    await lastUses.flush()
    const other = openSqlite(path)
    t.after(() => other.close())
    assert.equal((await other.findApiKey(keyId))?.lastUsedAt, START_MS)
  })

  it('is not lost while it cannot be written, which is told once', async (t) => {
    const { lastUses, lastUsedAt, seams, keyId, state, messages } = await setup(t)
    state.broken = true
    lastUses.note(keyId)
    await lastUses.flush()
    await lastUses.flush()
    assert.deepEqual(messages(), ['error: last uses cannot be written'])
    seams.advance(60_000)
    state.broken = false
    await lastUses.flush()
    assert.equal(await lastUsedAt(), START_MS)
    await lastUses.flush()
    assert.deepEqual(messages(), [
      'error: last uses cannot be written',
      'info: last uses can be written again',
    ])
  })

  it('is the newer one when it was used again while it could not be written', async (t) => {
    const { lastUses, lastUsedAt, seams, keyId, state } = await setup(t)
    state.broken = true
    lastUses.note(keyId)
    const failing = lastUses.flush()
    seams.advance(60_000)
    lastUses.note(keyId)
    await failing
    state.broken = false
    await lastUses.flush()
    assert.equal(await lastUsedAt(), START_MS + 60_000)
  })

  it('waits for a write that is under way, so that the store can be closed after it', async (t) => {
    const { lastUses, lastUsedAt, keyId } = await setup(t)
    lastUses.note(keyId)
    void lastUses.flush()
    await lastUses.flush()
    assert.equal(await lastUsedAt(), START_MS)
  })

  it('is written for many keys without holding the event loop for all of them', async (t) => {
    const { store, seams } = await setup(t)
    const [environment] = await store.listEnvironments()
    assert.ok(environment)
    const [key] = await store.listApiKeys(environment.id)
    assert.ok(key)
    const ids = Array.from({ length: 2_000 }, (_, index) => `kid_${index}`)
    await store.change(async (changes) => {
      for (const id of ids) await changes.insertApiKey({ ...key, id, digest: id, name: undefined })
    })
    let turns = 0
    const count = () => {
      turns += 1
      if (turns < 1_000) setImmediate(count)
    }
    setImmediate(count)
    await store.noteUses(new Map(ids.map((id) => [id, seams.now()])))
    assert.ok(turns >= 3, `${turns} turns`)
    turns = 1_000
    const noted = await store.listApiKeys(environment.id)
    assert.equal(noted.filter(({ lastUsedAt }) => lastUsedAt === seams.now()).length, 2_000)
  })
})
