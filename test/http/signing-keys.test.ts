import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import { JWKS_MAX_AGE_SECONDS, LEEWAY_SECONDS } from '../../src/domain/signing-period.ts'
import { setup } from '../helpers/admin.ts'

const SECRET = 'canary-'.repeat(8)

async function setupKeys(t: TestContext) {
  const service = await setup(t)
  const url = `/v1/environments/${service.id}/signing-keys`
  const list = async () => (await service.call('GET', url)).body.signingKeys
  const kidOf = async (path: string, body: object) => {
    const reply = await service.post(path, body)
    return decodeProtectedHeader(reply.json().token).kid
  }
  return { ...service, url, list, kidOf }
}

describe('signing keys over HTTP', () => {
  it('are listed with where they stand, without their secrets', async (t) => {
    const { list, id, seams } = await setupKeys(t)
    const now = Math.floor(seams.now() / 1000)
    const keys = await list()
    assert.deepEqual(keys.map(({ algorithm }: { algorithm: string }) => algorithm).toSorted(), [
      'EdDSA',
      'HS256',
    ])
    for (const { kid, algorithm, ...key } of keys) {
      assert.deepEqual(key, {
        environmentId: id,
        format: null,
        phase: 'signing',
        createdAt: now,
        signsFrom: now - LEEWAY_SECONDS,
        signsUntil: null,
        verifiesUntil: null,
      })
    }
  })

  it('are rotated, both when none is named, and sign once every verifier can have them', async (t) => {
    const { call, url, kidOf, seams, follower, list } = await setupKeys(t)
    const { status, body } = await call('POST', `${url}/rotate`)
    assert.equal(status, 201)
    const made = body.signingKeys
    assert.deepEqual(
      made.map(({ algorithm, phase, changed }: Record<string, unknown>) => [algorithm, phase, changed]),
      [
        ['EdDSA', 'published', true],
        ['HS256', 'published', true],
      ],
    )
    const before = await kidOf('/v1/tokens', { peerId: 'a' })
    seams.advance((3_600 + JWKS_MAX_AGE_SECONDS + LEEWAY_SECONDS) * 1000)
    await follower.refresh()
    assert.equal(await kidOf('/v1/peer/tokens', { groupId: 'g', peerId: 'a' }), made[0].kid)
    const after = await kidOf('/v1/tokens', { peerId: 'a' })
    assert.deepEqual([after, after === before], [made[1].kid, false])
    assert.equal((await list()).length, 4)
  })

  it('are rotated at once when that is asked for, one algorithm alone', async (t) => {
    const { call, url, kidOf, list } = await setupKeys(t)
    const { body } = await call('POST', `${url}/rotate`, { algorithm: 'HS256', immediately: true })
    assert.equal(body.signingKeys.length, 1)
    assert.equal(body.signingKeys[0].phase, 'signing')
    assert.equal(await kidOf('/v1/tokens', { peerId: 'a' }), body.signingKeys[0].kid)
    assert.equal((await list()).length, 3)
  })

  it('are one more when they are rotated twice at once', async (t) => {
    const { call, url, list } = await setupKeys(t)
    const both = await Promise.all(
      [1, 2].map(() => call('POST', `${url}/rotate`, { algorithm: 'EdDSA', immediately: true })),
    )
    const made = both.map(({ body }) => body.signingKeys[0])
    assert.deepEqual(made.map(({ changed }) => changed).toSorted(), [false, true])
    assert.equal(made[0].kid, made[1].kid)
    assert.equal((await list()).length, 3)
  })

  it('go back to the one before', async (t) => {
    const { call, url, kidOf } = await setupKeys(t)
    const nothing = await call('POST', `${url}/roll-back`, { algorithm: 'HS256' })
    assert.deepEqual([nothing.status, nothing.body.error], [409, 'conflict'])
    const before = await kidOf('/v1/tokens', { peerId: 'a' })
    await call('POST', `${url}/rotate`, { algorithm: 'HS256', immediately: true })
    assert.notEqual(await kidOf('/v1/tokens', { peerId: 'a' }), before)
    const { status, body } = await call('POST', `${url}/roll-back`, { algorithm: 'HS256' })
    assert.deepEqual(
      [status, body.signingKey.kid, body.signingKey.phase, body.signingKey.changed],
      [200, before, 'signing', true],
    )
    assert.equal(await kidOf('/v1/tokens', { peerId: 'a' }), before)
  })

  it('are imported for one format, and sign its tokens at once', async (t) => {
    const { call, url, kidOf, lines, list } = await setupKeys(t)
    const key = { kid: 'theirs', format: 'channels', secret: SECRET }
    const { status, body } = await call('POST', `${url}/import`, key)
    assert.equal(status, 201)
    assert.deepEqual(
      [body.signingKey.kid, body.signingKey.format, body.signingKey.algorithm, body.signingKey.phase],
      ['theirs', 'channels', 'HS256', 'signing'],
    )
    assert.equal(await kidOf('/v1/tokens', { peerId: 'a' }), 'theirs')
    assert.notEqual(await kidOf('/auth/token', { userId: 'a', name: 'A' }), 'theirs')
    const again = await call('POST', `${url}/import`, key)
    assert.deepEqual([again.status, again.body.error], [409, 'conflict'])
    assert.equal(JSON.stringify([body, again, await list(), lines]).includes('canary'), false)
  })

  const impossible: [string, object, string | undefined][] = [
    ['a secret that is too short', { kid: 'k', format: 'user', secret: 'canary' }, undefined],
    ['a seed that is none', { kid: 'k', format: 'peer', secret: SECRET }, undefined],
    ['a kid with a space', { kid: 'a b', format: 'user', secret: SECRET }, undefined],
    ['an unknown format', { kid: 'k', format: 'canary', secret: SECRET }, 'format'],
    ['no secret', { kid: 'k', format: 'user' }, 'secret'],
    ['an unknown member', { kid: 'k', format: 'user', secret: SECRET, alg: 'none' }, 'alg'],
  ]
  for (const [what, key, path] of impossible) {
    it(`are not imported with ${what}, which is not repeated`, async (t) => {
      const { call, url, lines, list } = await setupKeys(t)
      const { status, body } = await call('POST', `${url}/import`, key)
      assert.deepEqual([status, body.error], [400, 'body_invalid'])
      assert.equal(body.issues?.[0].path, path)
      assert.equal(JSON.stringify([body, lines]).includes('canary'), false)
      assert.equal((await list()).length, 2)
    })
  }
})
