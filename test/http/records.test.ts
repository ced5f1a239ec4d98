import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build } from '../helpers/app.ts'

const ask = { peerId: 'alice', channels: ['room-1'], permissions: ['publish'], expiresInSec: 60 }

describe('the record of a token', () => {
  it('says who got what, for how long, and who asked', async (t) => {
    const { post, records, made, seams } = await build(t)
    const reply = await post('/v1/tokens', ask, {
      'x-api-key': made.secretKey,
      'x-end-user-ip': '192.0.2.44',
      'x-request-id': 'r-1',
      'user-agent': 'backend/1.0',
    })
    const issued = records.filter(({ type }) => type === 'issued')
    assert.equal(issued.length, 1)
    const { prev: _, n: __, ...record } = issued[0] ?? {}
    const claims = JSON.parse(Buffer.from(reply.json().token.split('.')[1], 'base64url').toString())
    assert.deepEqual(record, {
      v: 1,
      at: new Date(seams.now()).toISOString(),
      type: 'issued',
      environmentId: made.environment.id,
      keyId: made.keyId,
      format: 'channels',
      subject: 'alice',
      jti: claims.jti,
      expiresAt: seams.now() / 1_000 + 60,
      ttlSeconds: 60,
      address: '127.0.0.1',
      endUserAddress: '192.0.2.44',
      userAgent: 'backend/1.0',
      requestId: 'r-1',
      granted: { channels: ['room-1'], permissions: ['publish'] },
    })
  })

  it('leaves out an end user’s address that is none', async (t) => {
    const { post, records, made } = await build(t)
    await post('/v1/tokens', ask, { 'x-api-key': made.secretKey, 'x-end-user-ip': '1.2.3.4, evil' })
    assert.equal('endUserAddress' in (records.find(({ type }) => type === 'issued') ?? {}), false)
  })

  it('holds a user agent that is cut, without what is written like a secret', async (t) => {
    const { post, records, made } = await build(t)
    const token = (await post('/v1/tokens', ask)).json().token
    const agents: [string, string][] = [
      ['x'.repeat(1_000), 'x'.repeat(256)],
      [`app ${made.secretKey}`, 'app sk_…'],
      [`${'x'.repeat(200)} ${made.secretKey}`, `${'x'.repeat(200)} sk_…`],
      [`app (${token})`, 'app (eyJ…'],
    ]
    for (const [agent] of agents) {
      await post('/v1/tokens', ask, { 'x-api-key': made.secretKey, 'user-agent': agent })
    }
    assert.deepEqual(
      records
        .filter(({ type }) => type === 'issued')
        .slice(1)
        .map(({ userAgent }) => userAgent),
      agents.map(([, recorded]) => recorded),
    )
  })

  it('is there for TURN credentials and for the sandbox as well', async (t) => {
    const { server, records, environments, follower, made } = await build(t, { SANDBOX: 'true' })
    const turn = { urls: ['turn:turn.example.com'], secret: 'a-secret-of-coturn' }
    await environments.update(made.environment.id, { turn })
    await follower.refresh()
    const headers = { 'x-api-key': made.secretKey }
    await server.inject({ url: '/v1/turn/credentials?subject=alice', headers })
    const form = { apiKey: made.keyId, apiSecret: made.secretKey, groupId: 'g', peerId: 'p' }
    await server.inject({ method: 'POST', url: '/token', payload: form })
    assert.deepEqual(
      records.filter(({ type }) => type === 'issued').map(({ format, subject }) => [format, subject]),
      [
        ['turn', 'alice'],
        ['peer', 'g:p'],
      ],
    )
    assert.equal(JSON.stringify(records).includes(turn.secret), false)
  })
})

describe('the record of a refusal', () => {
  it('says why a living key got nothing, and whom it asked for where that is known', async (t) => {
    const { post, server, records, made, keyWith, environments, follower } = await build(t, {
      RATE_LIMIT_SUBJECT: '1/1m',
      SANDBOX: 'true',
    })
    const narrow = await keyWith({ channels: ['room-2'] })
    const elsewhere = await keyWith({ addresses: ['192.0.2.1'] })
    const verifier = await keyWith({ uses: ['verify'] })
    const full = { 'x-api-key': made.secretKey }
    await post('/v1/tokens', ask)
    await post('/v1/tokens', ask)
    await post('/v1/tokens', ask, narrow)
    await post('/v1/tokens', { peerId: 7 })
    await post('/v1/tokens', '{')
    await post('/v1/tokens', ask, elsewhere)
    await post('/v1/tokens', ask, verifier)
    await post('/auth/token', ask, { ...full, origin: 'https://app.example.com' })
    await server.inject({ url: '/v1/turn/credentials?subject=bob', headers: full })
    await environments.update(made.environment.id, { archived: true })
    await follower.refresh()
    await post('/v1/peer/tokens', {}, full)
    const form = { apiKey: made.keyId, apiSecret: made.secretKey, groupId: 'g', peerId: 'p' }
    await server.inject({ method: 'POST', url: '/token', payload: form })
    assert.deepEqual(
      records
        .filter(({ type }) => type === 'refused')
        .map(({ code, format, subject }) => [code, format, subject]),
      [
        ['rate_limited', 'channels', 'alice'],
        ['beyond_grant', 'channels', 'alice'],
        ['body_invalid', 'channels', undefined],
        ['body_invalid', 'channels', undefined],
        ['address_not_allowed', 'channels', undefined],
        ['beyond_grant', 'channels', undefined],
        ['secret_key_in_browser', 'user', undefined],
        ['not_found', 'turn', 'bob'],
        ['environment_archived', 'peer', undefined],
        ['environment_archived', 'peer', undefined],
      ],
    )
  })

  it('is not there for who has no living key, nor for routes that mint nothing', async (t) => {
    const { post, server, records, made, keyLives, follower } = await build(t, { SANDBOX: 'true' })
    const ended = await keyLives.create(made.environment.id, { kind: 'secret' })
    await keyLives.revoke(ended.row.id)
    await follower.refresh()
    for (const key of [`${made.secretKey}0`, made.publishableKey, ended.text ?? '', 'x']) {
      await post('/v1/tokens', ask, { 'x-api-key': key })
      const form = { apiKey: made.keyId, apiSecret: key, groupId: 'g', peerId: 'p' }
      await server.inject({ method: 'POST', url: '/token', payload: form })
    }
    await server.inject({ method: 'POST', url: '/v1/tokens' })
    await post('/v1/verify', { token: 7 })
    await post('/v1/revocations', {})
    await post('/nothing', {})
    assert.deepEqual(
      records.map(({ type }) => type),
      ['opened'],
    )
  })
})
