import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { ADMIN, OTHER_ADMIN, setup } from '../helpers/admin.ts'

describe('the admin API', () => {
  it('is for admin keys alone, any of those that are configured', async (t) => {
    const { call, made, lines } = await setup(t)
    const with_ = async (key: string) =>
      await call('GET', '/v1/environments', undefined, { authorization: `Bearer ${key}` })
    assert.equal((await with_(ADMIN)).status, 200)
    assert.equal((await with_(OTHER_ADMIN)).status, 200)
    const refused: [string, string][] = [
      [writeKey('admin', undefined, systemSeams.random(32)), 'key_unknown'],
      [ADMIN.slice(0, -1), 'key_malformed'],
      [made.secretKey, 'key_kind_wrong'],
      [made.publishableKey, 'key_kind_wrong'],
      ['', 'key_missing'],
    ]
    for (const [key, error] of refused) assert.equal((await with_(key)).body.error, error)
    assert.equal(JSON.stringify(lines).includes(ADMIN), false)
  })
})

describe('environments', () => {
  it('are made, with keys that work at once', async (t) => {
    const { call, mintWith } = await setup(t)
    const { status, body } = await call('POST', '/v1/environments', {
      name: 'My app',
      tag: 'stg',
      signingAlgorithm: 'EdDSA',
    })
    assert.equal(status, 201)
    assert.deepEqual(Object.keys(body), ['environment', 'keyId', 'secretKey', 'publishableKey'])
    assert.equal(body.environment.signingAlgorithm, 'EdDSA')
    assert.match(body.secretKey, /^sk_stg_/)
    assert.equal(await mintWith(body.secretKey), 200)
  })

  it('have names that are used once and can be', async (t) => {
    const { call, id } = await setup(t)
    await call('POST', '/v1/environments', { name: 'One' })
    assert.equal((await call('POST', '/v1/environments', { name: 'One' })).body.error, 'conflict')
    assert.equal((await call('PATCH', `/v1/environments/${id}`, { name: 'One' })).status, 409)
    for (const name of ['', ' x', 'x'.repeat(81)]) {
      assert.equal((await call('POST', '/v1/environments', { name })).body.error, 'body_invalid')
    }
    assert.equal(
      (await call('PATCH', `/v1/environments/${id}`, { name: 'Renamed' })).body.environment.name,
      'Renamed',
    )
  })

  it('are listed page by page, each once', async (t) => {
    const { call } = await setup(t)
    for (let index = 0; index < 7; index += 1) await call('POST', '/v1/environments', { name: `E${index}` })
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query: string = cursor === '' ? 'limit=3' : `limit=3&cursor=${cursor}`
      const { body } = await call('GET', `/v1/environments?${query}`)
      seen.push(...body.environments.map(({ id }: { id: string }) => id))
      cursor = body.nextCursor
    }
    assert.equal(seen.length, 8)
    assert.equal(new Set(seen).size, 8)
    for (const [query, message] of [
      ['limit=0', 'limit must be 1 to 100.'],
      ['limit=1000', 'limit must be 1 to 100.'],
      ['cursor=zzz', 'cursor must be a nextCursor that was given.'],
    ]) {
      const { status, body } = await call('GET', `/v1/environments?${query}`)
      assert.deepEqual([status, body.message], [400, message])
    }
  })

  it('say in plain words what a setting may be', async (t) => {
    const { call, id } = await setup(t)
    const messageFor = async (change: object) =>
      (await call('PATCH', `/v1/environments/${id}`, change)).body.message
    const limited = (count: number) => ({ settings: { subjectLimit: { count, windowSeconds: 60 } } })
    assert.equal(await messageFor(limited(0)), 'settings.subjectLimit.count must be at least 1.')
    assert.equal(await messageFor(limited(1.5)), 'settings.subjectLimit.count must be a whole number.')
  })

  it('mint nothing while they are archived, and again when they are restored', async (t) => {
    const { call, id, made, mintWith } = await setup(t)
    assert.equal((await call('POST', `/v1/environments/${id}/archive`)).body.environment.state, 'archived')
    assert.equal(await mintWith(made.secretKey), 'environment_archived')
    assert.equal((await call('POST', `/v1/environments/${id}/restore`)).body.environment.state, 'active')
    assert.equal(await mintWith(made.secretKey), 200)
  })

  it('have lifetimes and a subject limit of their own, never above the formats’', async (t) => {
    const { call, id, post } = await setup(t)
    const settings = {
      lifetimes: { channels: { defaultSeconds: 60, longestSeconds: 120 } },
      subjectLimit: { count: 2, windowSeconds: 30 },
    }
    assert.deepEqual(
      (await call('PATCH', `/v1/environments/${id}`, { settings })).body.environment.settings,
      settings,
    )
    const first = await post('/v1/tokens', { peerId: 'a' })
    assert.equal(first.headers['ratelimit-policy'], '"subject";q=2;w=30, "key";q=6000;w=60')
    const claims = JSON.parse(Buffer.from(first.json().token.split('.')[1], 'base64url').toString())
    assert.equal(claims.exp - claims.iat, 60)
    assert.equal((await post('/v1/tokens', { peerId: 'a', expiresInSec: 121 })).json().error, 'beyond_grant')
    const beyond = { lifetimes: { client: { longestSeconds: 3_601 } } }
    const refused = await call('PATCH', `/v1/environments/${id}`, { settings: beyond })
    assert.equal(refused.body.issues[0].path, 'settings.lifetimes.client.longestSeconds')
  })

  it('take secret keys from browsers only when they are told to', async (t) => {
    const { call, id, post, made } = await setup(t)
    const headers = { 'x-api-key': made.secretKey, origin: 'http://localhost:5173' }
    assert.equal((await post('/v1/tokens', { peerId: 'a' }, headers)).statusCode, 403)
    await call('PATCH', `/v1/environments/${id}`, { settings: { allowBrowserSecrets: true } })
    assert.equal((await post('/v1/tokens', { peerId: 'a' }, headers)).statusCode, 200)
  })

  it('hold a TURN server whose secret is never shown', async (t) => {
    const { call, id, lines } = await setup(t)
    const turn = { urls: ['turn:a:3478'], secret: 'canary-turn-secret' }
    const set = await call('PATCH', `/v1/environments/${id}`, { turn })
    assert.deepEqual(set.body.environment.turn, { urls: turn.urls })
    assert.equal(JSON.stringify([set, lines]).includes('canary'), false)
    assert.equal((await call('PATCH', `/v1/environments/${id}`, { turn: null })).body.environment.turn, null)
  })

  it('are not found by an unknown id, wherever it is used', async (t) => {
    const { call } = await setup(t)
    const calls: ['GET' | 'POST' | 'PATCH', string, object?][] = [
      ['GET', '/v1/environments/env_none'],
      ['PATCH', '/v1/environments/env_none', { name: 'x' }],
      ['POST', '/v1/environments/env_none/archive'],
      ['GET', '/v1/environments/env_none/keys'],
      ['POST', '/v1/environments/env_none/keys', { kind: 'secret' }],
      ['POST', '/v1/environments/env_none/keys/rotate', {}],
      ['PATCH', '/v1/keys/kid_none', { name: 'x' }],
      ['POST', '/v1/keys/kid_none/revoke'],
      ['POST', '/v1/keys/kid_none/rotate', {}],
      ['POST', '/v1/keys/kid_none/report-leak', {}],
    ]
    for (const [method, url, body] of calls) {
      assert.equal((await call(method, url, body)).body.error, 'not_found', url)
    }
  })
})

describe('keys', () => {
  it('are made with what they carry, and shown without their secrets', async (t) => {
    const { call, id, seams } = await setup(t)
    const expiresAt = Math.floor(seams.now() / 1000) + 60
    const secret = await call('POST', `/v1/environments/${id}/keys`, {
      kind: 'secret',
      name: 'CI',
      grant: { formats: ['user'] },
      expiresAt,
    })
    assert.equal(secret.status, 201)
    assert.match(secret.body.secretKey, /^sk_live_/)
    assert.deepEqual(
      [secret.body.key.grant, secret.body.key.expiresAt, secret.body.key.name],
      [{ formats: ['user'] }, expiresAt, 'CI'],
    )
    const access = { channels: ['room-*'], actions: ['subscribe'], allowedOrigins: ['https://*.example.com'] }
    const publishable = await call('POST', `/v1/environments/${id}/keys`, { kind: 'publishable', access })
    assert.deepEqual(publishable.body.key.access, access)
    const listed = await call('GET', `/v1/environments/${id}/keys`)
    assert.equal(listed.body.keys.length, 4)
    assert.equal(JSON.stringify(listed.body).includes(secret.body.secretKey), false)
  })

  const misfits: [string, object, string][] = [
    [
      'channels without origins',
      { kind: 'publishable', access: { channels: ['a'] } },
      'access.allowedOrigins',
    ],
    [
      'any origin by accident',
      { kind: 'publishable', access: { allowedOrigins: ['*'] } },
      'access.allowAnyOrigin',
    ],
    [
      'an origin with a path',
      { kind: 'publishable', access: { allowedOrigins: ['https://x/'] } },
      'access.allowedOrigins[0]',
    ],
    [
      'a star in the middle',
      { kind: 'publishable', access: { allowedOrigins: ['https://a.*.com'] } },
      'access.allowedOrigins[0]',
    ],
    ['an access on a secret key', { kind: 'secret', access: {} }, 'access'],
    ['a grant on a publishable key', { kind: 'publishable', grant: {} }, 'grant'],
    ['an unknown kind', { kind: 'admin' }, 'kind'],
    ['an unknown member', { kind: 'secret', role: 'x' }, 'role'],
  ]
  for (const [what, body, path] of misfits) {
    it(`cannot have ${what}`, async (t) => {
      const { call, id } = await setup(t)
      const refused = await call('POST', `/v1/environments/${id}/keys`, body)
      assert.equal(refused.body.error, 'body_invalid')
      assert.equal(refused.body.issues[0].path, path)
    })
  }

  it('are changed member by member', async (t) => {
    const { call, made, post } = await setup(t)
    await call('PATCH', `/v1/keys/${made.keyId}`, { name: 'Backend', grant: { formats: ['user'] } })
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).json().error, 'beyond_grant')
    const { body } = await call('PATCH', `/v1/keys/${made.keyId}`, { grant: null })
    assert.deepEqual([body.key.name, body.key.grant], ['Backend', null])
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).statusCode, 200)
  })

  it('end when they are revoked, stay listed, and stay as they are', async (t) => {
    const { call, made, mintWith, id } = await setup(t)
    assert.equal((await call('POST', `/v1/keys/${made.keyId}/revoke`)).body.key.state, 'revoked')
    assert.equal(await mintWith(made.secretKey), 'key_revoked')
    assert.equal((await call('POST', `/v1/keys/${made.keyId}/revoke`)).status, 200)
    assert.equal((await call('PATCH', `/v1/keys/${made.keyId}`, { name: 'x' })).body.error, 'conflict')
    assert.equal((await call('POST', `/v1/keys/${made.keyId}/rotate`, {})).body.error, 'conflict')
    assert.equal((await call('GET', `/v1/environments/${id}/keys`)).body.keys.length, 2)
  })

  it('are rotated: the old one ends at once, the new one carries what it carried', async (t) => {
    const { call, id, mintWith } = await setup(t)
    const grant = { maxTtlSeconds: 600 }
    const old = (await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret', name: 'CI', grant }))
      .body
    const { status, body } = await call('POST', `/v1/keys/${old.key.id}/rotate`, {})
    assert.equal(status, 201)
    assert.deepEqual([body.key.name, body.key.grant], ['CI', grant])
    assert.equal(await mintWith(old.secretKey), 'key_revoked')
    assert.equal(await mintWith(body.secretKey), 200)
  })

  it('live on for the grace that is asked for, and never longer than they would have', async (t) => {
    const { call, id, mintWith, seams, follower } = await setup(t)
    const expiresAt = Math.floor(seams.now() / 1000) + 30
    const early = (await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret', expiresAt })).body
    const late = (await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret' })).body
    for (const { key } of [early, late]) await call('POST', `/v1/keys/${key.id}/rotate`, { graceSeconds: 60 })
    assert.deepEqual([await mintWith(early.secretKey), await mintWith(late.secretKey)], [200, 200])
    seams.advance(30_000)
    await follower.refresh()
    assert.deepEqual([await mintWith(early.secretKey), await mintWith(late.secretKey)], ['key_expired', 200])
    seams.advance(30_000)
    await follower.refresh()
    assert.equal(await mintWith(late.secretKey), 'key_expired')
    assert.equal(
      (await call('POST', `/v1/keys/${late.key.id}/rotate`, { graceSeconds: 604_801 })).status,
      400,
    )
  })

  it('have one successor when they are rotated twice at the same moment', async (t) => {
    const { call, made, id } = await setup(t)
    const both = await Promise.all(
      [1, 2].map(() => call('POST', `/v1/keys/${made.keyId}/rotate`, { graceSeconds: 60 })),
    )
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 409])
    assert.equal((await call('GET', `/v1/environments/${id}/keys`)).body.keys.length, 3)
  })

  it('of the beginning are rotated as a pair, again and again', async (t) => {
    const { call, made, id, mintWith } = await setup(t)
    const url = `/v1/environments/${id}/keys/rotate`
    const first = (await call('POST', url, {})).body
    const second = (await call('POST', url, {})).body
    assert.deepEqual(Object.keys(second), ['keyId', 'secretKey', 'publishableKey'])
    for (const ended of [made.secretKey, first.secretKey]) assert.equal(await mintWith(ended), 'key_revoked')
    assert.equal(await mintWith(second.secretKey), 200)
    await call('POST', `/v1/keys/${second.keyId}/revoke`)
    const third = (await call('POST', url, {})).body
    assert.equal(await mintWith(third.secretKey), 200)
    assert.equal(await mintWith(second.secretKey), 'key_revoked')
  })

  it('that leaked are revoked, or rotated with grace, in one step, and flagged', async (t) => {
    const { call, made, id, mintWith } = await setup(t)
    const other = (await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret' })).body
    const revoked = await call('POST', `/v1/keys/${made.keyId}/report-leak`, {})
    assert.deepEqual(
      [revoked.body.key.state, revoked.body.key.exposed, revoked.body.successor],
      ['revoked', true, null],
    )
    const rotated = await call('POST', `/v1/keys/${other.key.id}/report-leak`, {
      action: 'rotate',
      graceSeconds: 60,
    })
    assert.deepEqual([rotated.body.key.state, rotated.body.key.exposed], ['active', true])
    assert.equal(await mintWith(rotated.body.successor.secretKey), 200)
    assert.equal(await mintWith(made.secretKey), 'key_revoked')
  })
})
