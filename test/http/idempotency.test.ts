import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setup } from '../helpers/admin.ts'

type Setup = Awaited<ReturnType<typeof setup>>

/** Every creating call. Each is made on a service of its own. */
const creating: [string, (service: Setup) => [string, object]][] = [
  ['an environment is made', () => ['/v1/environments', { name: 'Once' }]],
  [
    'a secret key is made',
    ({ id }) => [`/v1/environments/${id}/keys`, { kind: 'secret', name: 'CI', expiresAt: 1_795_400_000 }],
  ],
  ['a publishable key is made', ({ id }) => [`/v1/environments/${id}/keys`, { kind: 'publishable' }]],
  ['a key is rotated', ({ made }) => [`/v1/keys/${made.keyId}/rotate`, { graceSeconds: 60 }]],
  ['the pair is rotated', ({ id }) => [`/v1/environments/${id}/keys/rotate`, {}]],
  [
    'a leak is rotated',
    ({ made }) => [`/v1/keys/${made.keyId}/report-leak`, { action: 'rotate', graceSeconds: 60 }],
  ],
  ['signing keys are rotated', ({ id }) => [`/v1/environments/${id}/signing-keys/rotate`, {}]],
  [
    'a signing key is imported',
    ({ id }) => [
      `/v1/environments/${id}/signing-keys/import`,
      { kid: 'theirs', format: 'channels', secret: 'canary-'.repeat(8) },
    ],
  ],
]

const headers = { 'idempotency-key': 'call-1' }

describe('an Idempotency-Key', () => {
  for (const [what, of] of creating) {
    it(`gives the same result, without the secret, when ${what} twice`, async (t) => {
      const service = await setup(t)
      const [url, body] = of(service)
      const first = await service.call('POST', url, body, headers)
      assert.ok(first.status < 300)
      const before = await everything(service)
      const second = await service.call('POST', url, body, headers)
      assert.deepEqual(second, { status: first.status, body: withoutSecrets(first.body) })
      assert.deepEqual(await everything(service), before)
    })

    it(`has one effect when ${what} twice at the same moment, and shows the secret once`, async (t) => {
      const service = await setup(t)
      const [url, body] = of(service)
      const both = await Promise.all([1, 2, 3].map(() => service.call('POST', url, body, headers)))
      assert.equal(new Set(both.map((reply) => JSON.stringify(withoutSecrets(reply)))).size, 1)
      const secrets = both.filter(({ body }) => /"secretKey":"sk_/.test(JSON.stringify(body)))
      assert.equal(secrets.length, what.includes('signing') || what.includes('publishable') ? 0 : 1)
      const before = await everything(service)
      await service.call('POST', url, body, headers)
      assert.deepEqual(await everything(service), before)
    })

    it(`is refused for another body after ${what}`, async (t) => {
      const service = await setup(t)
      const [url, body] = of(service)
      await service.call('POST', url, body, headers)
      const before = await everything(service)
      const changed = Object.hasOwn(body, 'name')
        ? { ...body, name: 'Other' }
        : Object.hasOwn(body, 'kid')
          ? { ...body, secret: 'x'.repeat(32) }
          : url.includes('signing')
            ? { immediately: true }
            : url.endsWith('/keys')
              ? { ...body, kind: 'secret' }
              : { ...body, graceSeconds: 61 }
      const refused = await service.call('POST', url, changed, headers)
      assert.deepEqual([refused.status, refused.body.error], [409, 'conflict'])
      assert.deepEqual(await everything(service), before)
    })
  }

  it('is for one call: another path with the same body is refused', async (t) => {
    const { call, made, id } = await setup(t)
    const other = await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret' })
    await call('POST', `/v1/keys/${made.keyId}/rotate`, {}, headers)
    for (const url of [`/v1/keys/${other.body.key.id}/rotate`, `/v1/environments/${id}/keys/rotate`]) {
      assert.equal((await call('POST', url, {}, headers)).body.error, 'conflict')
    }
  })

  it('is not taken by a call that was refused', async (t) => {
    const { call } = await setup(t)
    await call('POST', '/v1/environments', { name: 'Taken' })
    assert.equal((await call('POST', '/v1/environments', { name: 'Taken' }, headers)).status, 409)
    assert.equal((await call('POST', '/v1/environments', { name: 'Free' }, headers)).status, 201)
  })

  it('gives the result as it is by now: a key that was revoked meanwhile is shown as revoked', async (t) => {
    const { call, id } = await setup(t)
    const url = `/v1/environments/${id}/keys`
    const body = { kind: 'secret', name: 'CI' }
    const first = (await call('POST', url, body, headers)).body
    await call('POST', `/v1/keys/${first.key.id}/revoke`)
    // Its name is free, and taken by another one; its call comes again all the same.
    await call('POST', url, body)
    const second = await call('POST', url, body, headers)
    assert.deepEqual([second.status, second.body.secretKey], [201, null])
    assert.deepEqual([second.body.key.id, second.body.key.state], [first.key.id, 'revoked'])
  })

  it('gives the result even when what was asked for has passed', async (t) => {
    const { call, id, seams } = await setup(t)
    const url = `/v1/environments/${id}/keys`
    const body = { kind: 'secret', expiresAt: Math.floor(seams.now() / 1000) + 60 }
    const first = (await call('POST', url, body, headers)).body
    seams.advance(60_000)
    const second = await call('POST', url, body, headers)
    assert.deepEqual([second.status, second.body.key.id], [201, first.key.id])
    assert.equal(second.body.key.state, 'expired')
  })

  it('is remembered for a day, and forgotten then', async (t) => {
    const { call, id, seams } = await setup(t)
    const url = `/v1/environments/${id}/keys`
    const make = async () => (await call('POST', url, { kind: 'secret' }, headers)).body.key.id
    const first = await make()
    seams.advance(24 * 3_600_000 - 1)
    assert.equal(await make(), first)
    seams.advance(1)
    assert.notEqual(await make(), first)
  })

  for (const key of ['a b', 'é', 'x'.repeat(256), '\u007f']) {
    it(`cannot be ${JSON.stringify(key).slice(0, 20)}`, async (t) => {
      const { call } = await setup(t)
      const refused = await call('POST', '/v1/environments', { name: 'X' }, { 'idempotency-key': key })
      assert.deepEqual([refused.status, refused.body.error], [400, 'body_invalid'])
    })
  }
})

async function everything({ call, id, follower }: Setup) {
  await follower.refresh()
  const environments = (await call('GET', '/v1/environments')).body
  const keys = (await call('GET', `/v1/environments/${id}/keys`)).body
  return { environments, keys, signingKeys: (await call('GET', `/v1/environments/${id}/signing-keys`)).body }
}

/** The same with `null` for every secret. */
function withoutSecrets(reply: unknown): unknown {
  return JSON.parse(JSON.stringify(reply, (name, value) => (name === 'secretKey' ? null : value)))
}
