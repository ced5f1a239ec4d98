import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { createKeyLives } from '../../src/keys/key-lives.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { drivenSeams } from '../helpers/seams.ts'

/** Two processes at one database. */
async function setup(t: TestContext) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const seams = drivenSeams()
  const stores = [openSqlite(path), openSqlite(path)]
  t.after(() => Promise.all(stores.map((store) => store.close())))
  const [store] = stores
  assert.ok(store)
  const sealer = await openDataKey(store, [seams.random(32)], seams)
  const { environment, keyId } = await createEnvironments({ store, sealer, seams }).create('One')
  const lives = stores.map((used) => createKeyLives({ store: used, sealer, seams }))
  return { id: environment.id, keyId, lives, store }
}

describe('two processes at the same moment', () => {
  it('give a name to one key', async (t) => {
    const { id, lives, store } = await setup(t)
    const made = await Promise.allSettled(
      [...lives, ...lives].map((one) => one.create(id, { kind: 'secret', name: 'CI' })),
    )
    assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of made) if (one.status === 'rejected') assert.equal(one.reason.error, 'conflict')
    assert.equal((await store.listApiKeys(id)).length, 3)
  })

  it('carry out a call once that comes to both', async (t) => {
    const { keyId, id, lives, store } = await setup(t)
    const call = { id: 'call', fingerprint: 'the same' }
    const made = await Promise.all([...lives, ...lives].map((one) => one.rotate(keyId, 60, call)))
    assert.equal(new Set(made.map(({ row }) => row.id)).size, 1)
    assert.equal(made.filter(({ text }) => text !== undefined).length, 1)
    assert.equal((await store.listApiKeys(id)).length, 3)
  })

  it('rotate a pair once: the other gets a conflict', async (t) => {
    const { id, lives, store } = await setup(t)
    const rotated = await Promise.allSettled([...lives, ...lives].map((one) => one.rotatePair(id)))
    assert.equal(rotated.filter(({ status }) => status === 'fulfilled').length, 1)
    for (const one of rotated) if (one.status === 'rejected') assert.equal(one.reason.error, 'conflict')
    assert.equal((await store.listApiKeys(id)).length, 4)
  })
})

describe('the pair that came with an environment', () => {
  it('becomes whole again by a rotation when one of it was revoked', async (t) => {
    const { id, keyId, lives } = await setup(t)
    const [life] = lives
    assert.ok(life)
    await life.revoke(keyId)
    const { secret, publishable } = await life.rotatePair(id)
    assert.equal(secret.row.revokedAt, undefined)
    const again = await life.rotatePair(id, 60)
    assert.notEqual(again.secret.row.id, secret.row.id)
    assert.notEqual(again.publishable.row.id, publishable.row.id)
  })
})
