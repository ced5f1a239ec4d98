import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose'
import { JWKS_MAX_AGE_SECONDS } from '../../src/domain/signing-period.ts'
import { peer } from '../../src/formats/peer.ts'
import { build } from '../helpers/app.ts'

async function setup(t: TestContext) {
  const service = await build(t)
  const url = `/environments/${service.made.environment.id}/.well-known/jwks.json`
  const get = (ifNoneMatch?: string) =>
    service.server.inject({
      url,
      headers: ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch },
    })
  return { ...service, id: service.made.environment.id, url, get }
}

describe('the JWKS of an environment', () => {
  it('verifies its tokens, and has public members and thumbprint kids alone', async (t) => {
    const { get, post, seams } = await setup(t)
    const reply = await get()
    assert.equal(reply.statusCode, 200)
    const { keys, ...others } = reply.json()
    assert.deepEqual([keys.length, others], [1, {}])
    const [key] = keys
    assert.deepEqual(Object.keys(key), ['kty', 'crv', 'x', 'kid', 'alg', 'use'])
    assert.deepEqual([key.kty, key.crv, key.alg, key.use], ['OKP', 'Ed25519', 'EdDSA', 'sig'])
    assert.equal(key.kid, await calculateJwkThumbprint(key))
    const { token } = (await post('/v1/peer/tokens', { groupId: 'g', peerId: 'p' })).json()
    const currentDate = new Date(seams.now())
    assert.ok(await jwtVerify(token, createLocalJWKSet({ keys }), { currentDate }))
  })

  it('is needed by no key, may be kept for a while, and says its type', async (t) => {
    const { headers } = await (await setup(t)).get()
    assert.equal(headers['cache-control'], `public, max-age=${JWKS_MAX_AGE_SECONDS}`)
    assert.match(String(headers['content-type']), /^application\/jwk-set\+json\b/)
    assert.match(String(headers.etag), /^"[\w-]{43}"$/)
    assert.equal(headers['access-control-allow-origin'], undefined)
    assert.equal(headers['set-cookie'], undefined)
  })

  it('is not sent again to who has it', async (t) => {
    const { get } = await setup(t)
    const { headers } = await get()
    const etag = String(headers.etag)
    for (const held of [etag, `W/${etag}`, `"other", ${etag}`, `"other",W/${etag} , "x"`, '*']) {
      const reply = await get(held)
      assert.deepEqual([reply.statusCode, reply.body], [304, ''], held)
      // RFC 9110 §15.4.5: what a 200 would have said.
      assert.equal(reply.headers.etag, etag)
      assert.equal(reply.headers['cache-control'], headers['cache-control'])
    }
    for (const held of ['', '"other"', etag.slice(1, -1), `"${etag}"`]) {
      assert.equal((await get(held)).statusCode, 200, held)
    }
  })

  it('has another ETag once it has another key, and the same key set twice the same', async (t) => {
    const { get, signingKeyRotation, follower, id } = await setup(t)
    const etags = [(await get()).headers.etag, (await get()).headers.etag]
    assert.equal(etags[0], etags[1])
    const { key } = await signingKeyRotation.rotate(id, 'EdDSA')
    await signingKeyRotation.rotate(id, 'HS256')
    await follower.refresh()
    const reply = await get(String(etags[0]))
    assert.equal(reply.statusCode, 200)
    const kids = reply.json().keys.map(({ kid }: { kid: string }) => kid)
    assert.deepEqual([kids.length, kids.includes(key.kid)], [2, true])
  })

  it('has the public half of an imported key and the format that it is for, and nothing of its seed', async (t) => {
    const { get, environments, follower, id } = await setup(t)
    const seed = '7f'.repeat(32)
    await environments.importSigningKey({ environmentId: id, kid: 'theirs', format: peer }, `sk_${seed}`)
    await follower.refresh()
    const reply = await get()
    const found = reply.json().keys.find(({ kid }: { kid: string }) => kid === 'theirs')
    assert.deepEqual(Object.keys(found), ['kty', 'crv', 'x', 'kid', 'alg', 'use', 'fmt'])
    assert.equal(found.fmt, 'peer')
    assert.equal(reply.body.includes(Buffer.from(seed, 'hex').toString('base64url')), false)
  })

  it('is empty when there is no key to publish', async (t) => {
    const { get, store, follower, seams, id } = await setup(t)
    const now = seams.now()
    for (const { kid } of await store.listSigningKeys(id)) {
      const gone = { signsUntil: now, verifiesUntil: now }
      await store.change((changes) => changes.updateSigningKey(id, kid, gone))
    }
    await follower.refresh()
    assert.deepEqual((await get()).json(), { keys: [] })
  })

  it('is 404 for an environment that is not there', async (t) => {
    const { server } = await setup(t)
    for (const id of ['env_0000000000000000', 'nonsense', 'env_', '%00', 'x'.repeat(100)]) {
      const reply = await server.inject({ url: `/environments/${id}/.well-known/jwks.json` })
      assert.deepEqual([reply.statusCode, reply.json().error], [404, 'not_found'], id)
      assert.equal(reply.headers['cache-control'], 'no-store')
    }
  })

  it('goes on, but may not be kept, while this process may have missed a new key', async (t) => {
    const { get, seams } = await setup(t)
    seams.advance(3_600_001)
    const reply = await get()
    assert.deepEqual([reply.statusCode, reply.headers['cache-control']], [200, 'no-cache'])
  })
})

describe('an environment in which no key may sign', () => {
  it('mints nothing: 503, and the process says that it is not ready', async (t) => {
    const { server, post, store, follower, seams, id } = await setup(t)
    for (const { kid } of await store.listSigningKeys(id)) {
      const signsUntil = seams.now() + 1_000
      await store.change((changes) => changes.updateSigningKey(id, kid, { signsUntil }))
    }
    await follower.refresh()
    const mint = async () => (await post('/v1/peer/tokens', { groupId: 'g', peerId: 'p' })).statusCode
    const ready = async () => (await server.inject({ url: '/readyz' })).statusCode
    seams.advance(999)
    assert.deepEqual([await mint(), await ready()], [200, 200])
    seams.advance(1)
    assert.deepEqual([await mint(), await ready()], [503, 503])
    const reply = await post('/auth/token', { userId: 'a', name: 'A' })
    assert.equal(reply.json().error, 'store_unavailable')
    assert.equal(reply.headers.ratelimit, undefined)
  })

  it('takes no process out of the balancer while others can mint: a clock that was ahead made it', async (t) => {
    const { server, environments, made, follower, seams } = await build(t)
    const mint = async (key: string) => {
      const headers = { authorization: `Bearer ${key}` }
      const payload = { userId: 'a', name: 'A' }
      const reply = await server.inject({ method: 'POST', url: '/auth/token', headers, payload })
      return reply.statusCode
    }
    const ready = async () => {
      const { status, checks } = (await server.inject({ url: '/readyz' })).json()
      return [status, checks.signing]
    }
    seams.advance(60_000)
    const ahead = await environments.create('From the future')
    seams.advance(-60_000)
    await follower.refresh()
    assert.deepEqual([await mint(made.secretKey), await mint(ahead.secretKey)], [200, 503])
    assert.deepEqual(await ready(), ['degraded', 'somewhere'])
    seams.advance(60_000)
    await follower.refresh()
    assert.deepEqual([await mint(ahead.secretKey), await ready()], [200, ['ready', undefined]])
  })

  it('is empty for an archived environment, which no longer counts for readiness either', async (t) => {
    const { server, environments, made, follower, store, seams } = await build(t)
    const { id } = made.environment
    await environments.update(id, { archived: true })
    const over = { signsUntil: seams.now(), verifiesUntil: seams.now() }
    await store.change(async (changes) => {
      for (const { kid } of await changes.listSigningKeys(id)) await changes.updateSigningKey(id, kid, over)
    })
    await follower.refresh()
    const jwks = await server.inject(`/environments/${id}/.well-known/jwks.json`)
    assert.deepEqual(jwks.json(), { keys: [] })
    assert.equal((await server.inject('/readyz')).statusCode, 200)
    await environments.update(id, { archived: false })
    await follower.refresh()
    assert.equal((await server.inject('/readyz')).json().error, 'store_unavailable')
  })
})
