import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { ADMIN, setup } from '../helpers/admin.ts'

type Method = 'GET' | 'POST' | 'PATCH'

/** Every route, with a body that is taken. */
const routes: [Method, string, object?][] = [
  ['POST', '/v1/environments', { name: 'X' }],
  ['GET', '/v1/environments'],
  ['GET', '/v1/environments/{env}'],
  ['PATCH', '/v1/environments/{env}', {}],
  ['POST', '/v1/environments/{env}/archive', {}],
  ['POST', '/v1/environments/{env}/restore', {}],
  ['POST', '/v1/environments/{env}/keys', { kind: 'secret' }],
  ['GET', '/v1/environments/{env}/keys'],
  ['POST', '/v1/environments/{env}/keys/rotate', {}],
  ['GET', '/v1/keys/{key}'],
  ['PATCH', '/v1/keys/{key}', {}],
  ['POST', '/v1/keys/{key}/rotate', {}],
  ['POST', '/v1/keys/{key}/revoke', {}],
  ['POST', '/v1/keys/{key}/report-leak', {}],
  ['GET', '/v1/environments/{env}/signing-keys'],
  ['POST', '/v1/environments/{env}/signing-keys/rotate', {}],
  ['POST', '/v1/environments/{env}/signing-keys/roll-back', { algorithm: 'EdDSA' }],
  [
    'POST',
    '/v1/environments/{env}/signing-keys/import',
    { kid: 'k', format: 'user', secret: 'x'.repeat(32) },
  ],
]

describe('every route of the admin API', () => {
  for (const [method, path, body] of routes) {
    it(`is for the admin key alone, says what it takes, and finds no foreign id: ${method} ${path}`, async (t) => {
      const { call, made, id, server } = await setup(t)
      const url = path.replace('{env}', id).replace('{key}', made.keyId)
      const as = async (authorization: string) => {
        const reply = await call(method, url, body, { authorization })
        return [reply.status, reply.body.error]
      }
      assert.deepEqual(await as(''), [401, 'key_missing'])
      assert.deepEqual(await as(`Bearer ${ADMIN.slice(0, -1)}_`), [401, 'key_malformed'])
      const unknown = writeKey('admin', undefined, systemSeams.random(32))
      assert.deepEqual(await as(`Bearer ${unknown}`), [401, 'key_unknown'])
      assert.deepEqual(await as(`Bearer ${made.secretKey}`), [403, 'key_kind_wrong'])
      assert.deepEqual(await as(`Bearer ${made.publishableKey}`), [403, 'key_kind_wrong'])

      if (body !== undefined) {
        const refused = await call(method, url, { ...body, surplus: 1 })
        assert.deepEqual([refused.status, refused.body.error], [400, 'body_invalid'])
        assert.ok(refused.body.issues.some((issue: { path: string }) => issue.path === 'surplus'))
      }

      if (path.includes('{')) {
        // Too wild to be an id, well-formed, an id of the other kind: the answers do not differ.
        const other = path.includes('{env}') ? made.keyId : id
        const details = new Set<string>()
        for (const foreign of ['x', '%00', "'", 'env_0000000000000000', 'kid_0000000000000000', other]) {
          const reply = await call(method, path.replace(/\{\w+\}/, foreign), body)
          assert.deepEqual([reply.status, reply.body.error], [404, 'not_found'], foreign)
          details.add(reply.body.detail)
        }
        assert.equal(details.size, 1)
      }

      const described = (await server.inject({ url: '/openapi.json' })).json().paths
      const name = path.replace(/\{\w+\}/, '{id}')
      const { summary, security } = described[name][method.toLowerCase()]
      assert.match(summary, /^[A-Z].{5,}/)
      assert.deepEqual(security, [{ adminKey: [] }])
    })
  }

  const withoutBody = [
    '/v1/environments/{env}/archive',
    '/v1/environments/{env}/restore',
    '/v1/environments/{env}/keys/rotate',
    '/v1/keys/{key}/rotate',
    '/v1/keys/{key}/revoke',
    '/v1/keys/{key}/report-leak',
    '/v1/environments/{env}/signing-keys/rotate',
  ]
  for (const path of withoutBody) {
    it(`needs no body where every member may be left out: ${path}`, async (t) => {
      const { call, made, id } = await setup(t)
      const reply = await call('POST', path.replace('{env}', id).replace('{key}', made.keyId))
      assert.ok(reply.status < 300, JSON.stringify(reply.body))
    })
  }

  it('works on an archived environment', async (t) => {
    const { call, id, made } = await setup(t)
    await call('POST', `/v1/environments/${id}/archive`)
    for (const [method, path, body] of routes.filter(([method]) => method === 'GET')) {
      const url = path.replace('{env}', id).replace('{key}', made.keyId)
      assert.equal((await call(method, url, body)).status, 200, path)
    }
    const listed = (await call('GET', '/v1/environments')).body.environments
    assert.equal(listed[0].state, 'archived')
    assert.equal((await call('POST', `/v1/environments/${id}/restore`)).body.environment.state, 'active')
  })
})

describe('a list of keys', () => {
  it('comes page by page, each key once, oldest first, also when new ones are made meanwhile', async (t) => {
    const { call, id, seams } = await setup(t)
    const make = async () => {
      seams.advance(1)
      return (await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret' })).body.key.id
    }
    const made = [await make(), await make(), await make()]
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query: string = cursor === '' ? 'limit=2' : `limit=2&cursor=${cursor}`
      const { body } = await call('GET', `/v1/environments/${id}/keys?${query}`)
      assert.ok(body.keys.length <= 2)
      if (cursor === '') made.push(await make())
      seen.push(...body.keys.map((key: { id: string }) => key.id))
      cursor = body.nextCursor
    }
    assert.deepEqual(seen.slice(2), made)
    assert.equal(new Set(seen).size, 6)
  })

  const queries = ['limit=0', 'limit=101', 'limit=x', 'cursor=', 'cursor=kid_1', 'cursor=1.kid_x', 'page=2']
  for (const query of queries) {
    it(`is refused for ${query}, which is named`, async (t) => {
      const { call, id } = await setup(t)
      const { status, body } = await call('GET', `/v1/environments/${id}/keys?${query}`)
      assert.deepEqual([status, body.issues[0].path], [400, query.split('=')[0]])
    })
  }
})

describe('one key', () => {
  it('is shown by its id, and never its secret', async (t) => {
    const { call, made } = await setup(t)
    const { status, body } = await call('GET', `/v1/keys/${made.keyId}`)
    assert.deepEqual([status, body.key.id, body.key.kind], [200, made.keyId, 'secret'])
    assert.equal(JSON.stringify(body).includes(made.secretKey), false)
  })
})

describe('the end of a key', () => {
  it('lies in the future when it is made or changed, and before the year 10000', async (t) => {
    const { call, id, made, seams } = await setup(t)
    const now = Math.floor(seams.now() / 1000)
    for (const expiresAt of [0, now - 1, now, 253_402_300_800, -1, 1.5]) {
      const refused = [
        await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret', expiresAt }),
        await call('PATCH', `/v1/keys/${made.keyId}`, { expiresAt }),
      ]
      for (const { status, body } of refused) {
        assert.deepEqual([status, body.issues[0].path], [400, 'expiresAt'], String(expiresAt))
      }
    }
    const changed = await call('PATCH', `/v1/keys/${made.keyId}`, { expiresAt: now + 1 })
    assert.equal(changed.body.key.expiresAt, now + 1)
    assert.equal(
      (await call('PATCH', `/v1/keys/${made.keyId}`, { expiresAt: null })).body.key.expiresAt,
      null,
    )
  })

  it('is kept by rotation', async (t) => {
    const { call, id, seams } = await setup(t)
    const expiresAt = Math.floor(seams.now() / 1000) + 3_600
    const { key } = (await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret', expiresAt })).body
    assert.equal((await call('POST', `/v1/keys/${key.id}/rotate`)).body.key.expiresAt, expiresAt)
  })

  it('comes earlier, not later, once the key was rotated', async (t) => {
    const { call, made } = await setup(t)
    await call('POST', `/v1/keys/${made.keyId}/rotate`, { graceSeconds: 600 })
    const { expiresAt } = (await call('GET', `/v1/keys/${made.keyId}`)).body.key
    const end = async (at: number | null) =>
      (await call('PATCH', `/v1/keys/${made.keyId}`, { expiresAt: at })).status
    assert.deepEqual([await end(null), await end(expiresAt + 1), await end(expiresAt - 1)], [409, 409, 200])
    assert.equal((await call('PATCH', `/v1/keys/${made.keyId}`, { name: 'Old' })).status, 200)
  })
})

describe('the admin', () => {
  it('is refused over plain HTTP where HTTPS is required', async (t) => {
    const { server } = await setup(t, { REQUIRE_HTTPS: 'true' })
    const headers = { authorization: `Bearer ${ADMIN}` }
    const reply = await server.inject({ url: '/v1/environments', headers, remoteAddress: '192.0.2.7' })
    assert.deepEqual([reply.statusCode, reply.json().error], [403, 'https_required'])
  })

  it('is not locked out by strangers who fail on the same address', async (t) => {
    const { call } = await setup(t)
    const wrong = { authorization: `Bearer ${writeKey('admin', undefined, systemSeams.random(32))}` }
    const failures = []
    for (let index = 0; index < 200; index += 1) {
      failures.push((await call('GET', '/v1/environments', undefined, wrong)).status)
    }
    assert.deepEqual([failures[0], failures.at(-1)], [401, 429])
    assert.equal((await call('GET', '/v1/environments')).status, 200)
  })

  it('is not locked out by who asks for paths that are not there', async (t) => {
    const { call } = await setup(t)
    let last = 404
    for (let index = 0; index < 130; index += 1) last = (await call('GET', '/nowhere')).status
    assert.equal(last, 429)
    assert.equal((await call('GET', '/v1/environments')).status, 200)
  })

  it('may call often, but not without end', async (t) => {
    const { call } = await setup(t)
    const statuses = []
    for (let index = 0; index < 1_201; index += 1) {
      statuses.push((await call('GET', '/v1/environments/env_none')).status)
    }
    assert.deepEqual([statuses.at(-2), statuses.at(-1)], [404, 429])
  })
})
