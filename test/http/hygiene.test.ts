import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build } from '../helpers/app.ts'

describe('the issuance line', () => {
  it('says who got what, for how long, and who asked', async (t) => {
    const { post, lines, made, seams } = await build(t)
    const reply = await post(
      '/v1/tokens',
      { peerId: 'alice', channels: ['room-1'], permissions: ['publish'], expiresInSec: 60 },
      { 'x-api-key': made.secretKey, 'x-end-user-ip': '192.0.2.44', 'x-request-id': 'r-1' },
    )
    const issued = lines.filter(({ msg }) => msg === 'token issued')
    assert.equal(issued.length, 1)
    const { time, jti, ...line } = issued[0] ?? {}
    assert.equal(Date.parse(String(time)) > 0, true)
    const claims = JSON.parse(Buffer.from(reply.json().token.split('.')[1], 'base64url').toString())
    assert.equal(jti, claims.jti)
    assert.deepEqual(line, {
      level: 'info',
      environmentId: made.environment.id,
      keyId: made.keyId,
      format: 'channels',
      subject: 'alice',
      policy: { channels: ['room-1'], permissions: ['publish'] },
      ttlSeconds: 60,
      expiresAt: seams.now() / 1_000 + 60,
      address: '127.0.0.1',
      endUserAddress: '192.0.2.44',
      requestId: 'r-1',
      msg: 'token issued',
    })
  })

  it('leaves out an end user’s address that is none', async (t) => {
    const { post, lines, made } = await build(t)
    await post(
      '/v1/tokens',
      { peerId: 'a' },
      { 'x-api-key': made.secretKey, 'x-end-user-ip': '1.2.3.4, evil' },
    )
    assert.equal('endUserAddress' in (lines.find(({ msg }) => msg === 'token issued') ?? {}), false)
  })
})

describe('the log', () => {
  it('holds no key, token, header, query or body, on success or failure', async (t) => {
    const { post, server, lines, made } = await build(t, { LOG_LEVEL: 'trace' })
    const canary = 'canary-7f3a'
    const token = (await post('/v1/tokens', { peerId: 'a', metadata: { x: canary } })).json().token
    const headers = { 'x-api-key': made.secretKey, cookie: canary, referer: canary, 'user-agent': canary }
    await post(`/v1/tokens?token=${canary}`, { peerId: 'b' }, headers)
    await post(`/v1/tokens?token=${canary}`, { peerId: 'b', [canary]: 1 }, headers)
    await post(`/v1/tokens?token=${canary}`, `{"${canary}`, headers)
    await post(`/nothing?token=${canary}`, {}, headers)
    await post('/v1/tokens', {}, { ...headers, 'content-type': canary })
    await post('/v1/tokens', {}, { 'x-api-key': `${made.secretKey}${canary}` })
    await post('/v1/tokens', {}, { 'x-api-key': made.publishableKey })
    await post('/v1/tokens', {}, { ...headers, origin: canary })
    await server.inject({ url: `/%zz?${canary}` })
    const log = JSON.stringify(lines)
    for (const secret of [canary, token, token.split('.')[2], made.secretKey, made.secretKey.slice(8, 40)]) {
      assert.equal(log.includes(secret), false, secret)
    }
    assert.ok(lines.length > 3)
  })
})
