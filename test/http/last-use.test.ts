import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setup } from '../helpers/admin.ts'

async function setupUse(t: TestContext, env: Record<string, string> = {}) {
  const service = await setup(t, env)
  const lastUse = async () => {
    await service.lastUses.flush()
    return (await service.call('GET', `/v1/keys/${service.made.keyId}`)).body.key.lastUsedAt
  }
  return { ...service, lastUse, now: service.seams.now() / 1000 }
}

describe('lastUsedAt', () => {
  it('is shown of a key that the guard let through, in lists too', async (t) => {
    const { lastUse, post, now, call, id } = await setupUse(t)
    assert.equal(await lastUse(), null)
    await post('/v1/tokens', { peerId: 'a' })
    assert.equal(await lastUse(), now)
    const { keys } = (await call('GET', `/v1/environments/${id}/keys`)).body
    assert.deepEqual(
      keys.map(({ lastUsedAt }: { lastUsedAt: number | null }) => lastUsedAt),
      keys.map(({ kind }: { kind: string }) => (kind === 'secret' ? now : null)),
    )
  })

  const uses: ['GET' | 'POST', string][] = [
    ['POST', '/auth/token'],
    ['POST', '/v1/tokens'],
    ['POST', '/v1/client/tokens'],
    ['POST', '/v1/peer/tokens'],
    ['GET', '/v1/turn/credentials'],
    ['POST', '/v1/verify'],
    ['POST', '/v1/introspect'],
    ['POST', '/v1/revoke'],
    ['POST', '/v1/revocations'],
    ['GET', '/v1/revocations'],
  ]
  for (const [method, url] of uses) {
    it(`is noted at ${method} ${url}, whatever became of the request behind the guard`, async (t) => {
      const { lastUse, server, made, now } = await setupUse(t)
      const headers = { authorization: `Bearer ${made.secretKey}` }
      const payload = method === 'GET' ? {} : { payload: { surplus: 1 } }
      const reply = await server.inject({ method, url, headers, ...payload })
      assert.ok(![401, 403, 404].includes(reply.statusCode) || url.includes('turn'), reply.body)
      assert.equal(await lastUse(), now)
    })
  }

  it('is noted by the sandbox, whose key comes in the form', async (t) => {
    const { lastUse, server, made, now } = await setupUse(t, { SANDBOX: 'true' })
    const form = { apiKey: made.keyId, apiSecret: made.secretKey, groupId: 'g', peerId: 'p' }
    const reply = await server.inject({
      method: 'POST',
      url: '/token',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams(form).toString(),
    })
    assert.equal(reply.statusCode, 200)
    assert.equal(await lastUse(), now)
  })

  it('stays when the key was refused', async (t) => {
    const { lastUse, post, made, call } = await setupUse(t)
    const key = { 'x-api-key': made.secretKey }
    assert.equal((await post('/v1/tokens', { peerId: 'a' }, { ...key, origin: 'https://x' })).statusCode, 403)
    const mistyped = { authorization: `Bearer kid_other:${made.secretKey}` }
    assert.equal((await post('/v1/tokens', { peerId: 'a' }, mistyped)).statusCode, 401)
    await call('PATCH', `/v1/keys/${made.keyId}`, { grant: { addresses: ['192.0.2.1'] } })
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).statusCode, 403)
    assert.equal(await lastUse(), null)
  })

  it('never stands in the way of a mint when it cannot be written', async (t) => {
    const { store, post, lastUses, lines } = await setupUse(t)
    await post('/v1/tokens', { peerId: 'a' })
    await store.close()
    await lastUses.flush()
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).statusCode, 200)
    assert.ok(lines.some(({ msg }) => msg === 'last uses cannot be written'))
  })
})

describe('endsWithin', () => {
  it('says in a list which keys end within a day or a week', async (t) => {
    const { call, id, seams } = await setup(t)
    const url = `/v1/environments/${id}/keys`
    for (const days of [1, 7, 8]) {
      const expiresAt = Math.floor(seams.now() / 1000) + days * 86_400
      await call('POST', url, { kind: 'secret', expiresAt })
    }
    const { keys } = (await call('GET', url)).body
    const ends = keys.filter(({ expiresAt }: { expiresAt: number | null }) => expiresAt !== null)
    assert.deepEqual(
      new Set(ends.map(({ endsWithin }: { endsWithin: string | null }) => endsWithin)),
      new Set(['day', 'week', null]),
    )
    assert.equal(ends.length, 3)
  })

  it('is kept for a publishable key that the gate was asked about, and not for another environment’s', async (t) => {
    const { post, store, made, environments, follower, lastUses } = await setup(t)
    const other = await environments.create('Other')
    await follower.refresh()
    for (const { publishableKey } of [made, other]) await post('/v1/verify', { publishableKey })
    await lastUses.flush()
    const used = (await store.listApiKeys(undefined)).filter(({ lastUsedAt }) => lastUsedAt !== undefined)
    assert.deepEqual(
      used.map(({ kind, environmentId }) => `${kind} ${environmentId}`),
      [`secret ${made.environment.id}`, `publishable ${made.environment.id}`],
    )
  })
})
