import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setup } from '../helpers/admin.ts'

async function setupNames(t: TestContext) {
  const service = await setup(t)
  const { call, id } = service
  const make = (name: string, kind = 'secret', more: object = {}) =>
    call('POST', `/v1/environments/${id}/keys`, { kind, name, ...more })
  const rename = async (keyId: string, name: string | null) =>
    (await call('PATCH', `/v1/keys/${keyId}`, { name })).status
  return { ...service, make, rename }
}

describe('the name of a key', () => {
  it('is used once among the living keys of an environment, whatever their kind', async (t) => {
    const { make, rename, call, id } = await setupNames(t)
    const first = (await make('CI')).body.key
    const refused = await make('CI', 'publishable')
    assert.deepEqual([refused.status, refused.body.error], [409, 'conflict'])
    const other = (await make('Other')).body.key
    assert.equal(await rename(other.id, 'CI'), 409)
    assert.equal(await rename(first.id, 'CI'), 200)
    assert.equal((await call('GET', `/v1/environments/${id}/keys`)).body.keys.length, 4)
  })

  it('may be used in another environment, in another case, and by none at all any number of times', async (t) => {
    const { make, call, id } = await setupNames(t)
    await make('CI')
    const { environment } = (await call('POST', '/v1/environments', { name: 'Other' })).body
    const elsewhere = `/v1/environments/${environment.id}/keys`
    assert.equal((await call('POST', elsewhere, { kind: 'secret', name: 'CI' })).status, 201)
    assert.equal((await make('ci')).status, 201)
    for (let made = 0; made < 2; made += 1) {
      assert.equal((await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret' })).status, 201)
    }
  })

  it('is given to one of two that ask for it at the same moment', async (t) => {
    const { make, call, rename, id } = await setupNames(t)
    const made = await Promise.all([make('CI'), make('CI'), make('CI')])
    assert.deepEqual(made.map(({ status }) => status).toSorted(), [201, 409, 409])
    const others = [(await make('A')).body.key.id, (await make('B')).body.key.id]
    const renamed = await Promise.all([...others.map((other) => rename(other, 'New')), make('New')])
    const taken = renamed.filter((reply) => (typeof reply === 'number' ? reply : reply.status) < 300)
    assert.equal(taken.length, 1)
    assert.equal(
      (await call('GET', `/v1/environments/${id}/keys`)).body.keys.length,
      5 + (taken[0] === renamed[2] ? 1 : 0),
    )
  })

  it('is free once its key is revoked, has expired or gave it up', async (t) => {
    const { make, rename, call, seams } = await setupNames(t)
    const revoked = (await make('A')).body.key
    assert.equal((await make('B', 'secret', { expiresAt: revoked.createdAt + 60 })).status, 201)
    const renamed = (await make('C')).body.key
    await call('POST', `/v1/keys/${revoked.id}/revoke`)
    await rename(renamed.id, null)
    assert.deepEqual(
      [(await make('A')).status, (await make('B')).status, (await make('C')).status],
      [201, 409, 201],
    )
    seams.advance(60_000)
    assert.equal((await make('B')).status, 201)
  })

  it('goes on to the successor, and is shared with it alone while the old key is in its grace', async (t) => {
    const { make, rename, call, seams } = await setupNames(t)
    const old = (await make('CI')).body.key
    const { key } = (await call('POST', `/v1/keys/${old.id}/rotate`, { graceSeconds: 60 })).body
    assert.deepEqual([key.name, (await call('GET', `/v1/keys/${old.id}`)).body.key.name], ['CI', 'CI'])
    assert.equal((await make('CI')).status, 409)
    assert.equal(await rename(key.id, 'CI'), 200)
    await call('POST', `/v1/keys/${key.id}/revoke`)
    // The one in its grace lives, and has the name still.
    assert.equal((await make('CI')).status, 409)
    seams.advance(60_000)
    assert.equal((await make('CI')).status, 201)
  })

  for (const name of ['', ' CI', 'CI ', 'x'.repeat(81), 'a\nb', '\ud800']) {
    it(`cannot be ${JSON.stringify(name).slice(0, 12)}`, async (t) => {
      const { make, rename, made } = await setupNames(t)
      const refused = await make(name)
      assert.deepEqual([refused.status, refused.body.issues[0].path], [400, 'name'])
      assert.equal(await rename(made.keyId, name), 400)
    })
  }

  it('may have 80 characters of any script', async (t) => {
    const { make } = await setupNames(t)
    assert.equal((await make('🔑'.repeat(80))).status, 201)
  })
})
