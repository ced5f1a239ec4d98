import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { USES, type Use } from '../../src/domain/grant.ts'
import { build, buildShared } from '../helpers/app.ts'
import { FORMAT_NAMES, mintToken } from '../helpers/tokens.ts'

const fresh = buildShared()

describe('POST /v1/verify', () => {
  it('answers a refusal with 200, for the question was answered', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'channels')
    const ask = { action: 'subscribe', channel: 'lobby' }
    const reply = await service.post('/v1/verify', { token, ask })
    assert.equal(reply.statusCode, 200)
    assert.equal(reply.headers['cache-control'], 'no-store')
    const { checks, ...answer } = reply.json()
    assert.deepEqual(answer, {
      allowed: false,
      code: 'channel_not_granted',
      closeCode: 4003,
      detail: 'The token grants room-*, deep/** but the ask was for lobby.',
    })
    assert.deepEqual(checks.at(-1), { check: 'channel', ok: false, detail: answer.detail })
  })

  it('takes null for what is left out, as servers send it that pass on what they have', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client')
    const body = { token, publishableKey: null, origin: null, ask: null }
    assert.equal((await service.post('/v1/verify', body)).json().allowed, true)
  })

  const asks: [ask: unknown, path: string][] = [
    [{}, 'ask'],
    ['subscribe', 'ask'],
    [[], 'ask'],
    [{ action: 'fly', channel: 'a' }, 'ask.action'],
    [{ action: 'subscribe' }, 'ask.channel'],
    [{ channel: 'a' }, 'ask.action'],
    [{ action: 'subscribe', channel: '' }, 'ask.channel'],
    [{ action: 'subscribe', channel: 'x'.repeat(257) }, 'ask.channel'],
    [{ action: 'subscribe', channel: 'é'.repeat(129) }, 'ask.channel'],
    [{ action: 'subscribe', channel: 'a\u0007' }, 'ask.channel'],
    [{ action: 'subscribe', channel: 7 }, 'ask.channel'],
    [{ action: 'subscribe', channel: ['a'] }, 'ask.channel'],
    [{ action: 'send', channel: 'a' }, 'ask.channel'],
    [{ groupId: 'g' }, 'ask.peerId'],
    [{ peerId: 'p' }, 'ask.groupId'],
    [{ groupId: 'g', peerId: '*' }, 'ask.peerId'],
    [{ groupId: 'g'.repeat(37), peerId: 'p' }, 'ask.groupId'],
    [{ groupId: 'g', peerId: '' }, 'ask.peerId'],
    [{ model: '' }, 'ask.model'],
    [{ model: 'x'.repeat(257) }, 'ask.model'],
    [{ model: 7 }, 'ask.model'],
    [{ model: 'a', action: 'send' }, 'ask'],
    [{ groupId: 'g', peerId: 'p', channel: 'a' }, 'ask'],
    [{ action: 'send', origin: 'https://a' }, 'ask.origin'],
  ]
  for (const [ask, path] of asks) {
    it(`refuses the ask ${JSON.stringify(ask).slice(0, 60)} with the path ${path}`, async () => {
      const { post } = await fresh()
      const reply = await post('/v1/verify', { token: 'x', ask })
      assert.equal(reply.statusCode, 400)
      assert.equal(reply.json().error, 'body_invalid')
      assert.equal(reply.json().issues[0].path, path)
    })
  }

  const bodies: [unknown, string][] = [
    [{}, 'token'],
    [{ token: null }, 'token'],
    [{ ask: { model: 'a' } }, 'token'],
    [{ token: 7 }, 'token'],
    [{ token: ['x'] }, 'token'],
    [{ token: 'x', publishableKey: 7 }, 'publishableKey'],
    [{ token: 'x', origin: ['https://a'] }, 'origin'],
    [{ token: 'x', Origin: 'https://a' }, 'Origin'],
    [[], ''],
    ['"x"', ''],
  ]
  for (const [body, path] of bodies) {
    it(`refuses the body ${JSON.stringify(body)} with the path "${path}"`, async () => {
      const { post } = await fresh()
      const reply = await post('/v1/verify', body)
      assert.equal(reply.statusCode, 400)
      assert.equal(reply.json().issues[0].path, path)
    })
  }

  const bytes: [string, string | Buffer][] = [
    ['nothing', '""'],
    ['a megabyte', JSON.stringify('x'.repeat(1_000_000))],
    ['a megabyte of dots', JSON.stringify('.'.repeat(1_000_000))],
    ['a lone surrogate', '"\\ud83d"'],
    ['a zero byte', '"\\u0000"'],
    ['all there is in a line', JSON.stringify('\u2028\u2029\u007f\u200b')],
  ]
  for (const [what, text] of bytes) {
    it(`answers ${what} as a token with token_malformed`, async () => {
      const { post } = await fresh()
      const reply = await post('/v1/verify', `{"token":${text}}`)
      assert.equal(reply.statusCode, 200)
      assert.equal(reply.json().code, 'token_malformed')
      assert.ok(reply.body.length < 1_000, 'the token is not repeated')
    })
  }

  it('does not repeat a long origin, and refuses it', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client', { allowedOrigins: ['https://a'] })
    const origin = `https://${'x'.repeat(1_000_000)}`
    const reply = await service.post('/v1/verify', { token, origin })
    assert.equal(reply.json().code, 'origin_not_allowed')
    assert.ok(reply.body.length < 5_000)
  })

  it('says how much a body may hold, when it holds more', async () => {
    const { post } = await fresh()
    const reply = await post('/v1/verify', { token: 'x'.repeat(3_000_000) })
    assert.equal(reply.statusCode, 413)
    assert.match(reply.json().detail, /2097152/)
  })

  it('says 503 when the keys could not be checked for too long, as the mint does', async (t) => {
    const service = await build(t)
    const token = await mintToken(service, 'channels')
    service.seams.advance(3_600_001)
    const reply = await service.post('/v1/verify', { token })
    assert.deepEqual([reply.statusCode, reply.json().error], [503, 'store_unavailable'])
    await service.follower.refresh()
    assert.equal((await service.post('/v1/verify', { token })).json().allowed, true)
  })

  it('is counted by no limit', async (t) => {
    const service = await build(t, { RATE_LIMIT_KEY: '5/1m', RATE_LIMIT_SUBJECT: '5/1m' })
    const token = await mintToken(service, 'channels')
    for (let time = 0; time < 20; time += 1) {
      const reply = await service.post('/v1/verify', { token })
      assert.equal(reply.json().allowed, true)
      assert.equal(reply.headers.ratelimit, undefined)
    }
  })

  it('answers the key of an archived environment, which mints nothing any more', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'channels')
    await service.environments.update(service.made.environment.id, { archived: true })
    await service.follower.refresh()
    const reply = await service.post('/v1/verify', { token })
    assert.equal(reply.json().code, 'environment_archived')
  })

  it('writes neither a token nor a key into the log, whatever the answer', async (t) => {
    const service = await build(t)
    for (const format of FORMAT_NAMES) {
      const token = await mintToken(service, format)
      await service.post('/v1/verify', { token, publishableKey: service.made.publishableKey })
      await service.post('/v1/verify', { token: `${token}x` })
      assert.equal(JSON.stringify(service.lines).includes(token.slice(-30)), false)
    }
    assert.equal(JSON.stringify(service.lines).includes(service.made.secretKey), false)
  })
})

describe('grant.uses', () => {
  const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
  const routes: [method: 'GET' | 'POST', url: string, use: Use, body?: unknown][] = [
    ['POST', '/auth/token', 'mint', { userId: 'a', name: 'A' }],
    ['POST', '/v1/tokens', 'mint', { peerId: 'a' }],
    ['POST', '/v1/client/tokens', 'mint', {}],
    ['POST', '/v1/peer/tokens', 'mint', { groupId: 'g', peerId: 'p' }],
    ['POST', '/v1/verify', 'verify', { token: 'x' }],
    ['GET', '/v1/revocations', 'verify'],
    ['POST', '/v1/introspect', 'verify', 'token=x'],
    ['POST', '/v1/revocations', 'revoke', { jti: 'x' }],
    ['POST', '/v1/revoke', 'revoke', 'token=x'],
  ]
  for (const [method, url, use, body] of routes) {
    it(`lets nothing but ${use} at ${method} ${url}`, async () => {
      const service = await fresh()
      for (const uses of [[], ...USES.map((one) => [one]), undefined]) {
        const headers = await service.keyWith({ uses })
        const reply = await service.server.inject({
          method,
          url,
          headers: { ...headers, ...(typeof body === 'string' ? FORM : {}) },
          ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : { ...Object(body) } }),
        })
        const isIn = uses === undefined || uses.includes(use)
        assert.equal(reply.statusCode, isIn ? 200 : 403, `${uses}`)
        if (isIn) continue
        const { error, code } = reply.json()
        assert.deepEqual(
          typeof body === 'string' ? [error, code] : [error],
          typeof body === 'string' ? ['unauthorized_client', 'beyond_grant'] : ['beyond_grant'],
        )
      }
    })
  }

  it('refuses a body that is full of members before it looks at each', async () => {
    const { post } = await fresh()
    const crowd = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`m${index}`, 0]))
    const whole = await post('/v1/verify', { ...crowd, token: 'a' })
    assert.deepEqual(whole.json().issues, [{ path: '', message: 'has more than 2000 members' }])
    const ask = await post('/v1/verify', { token: 'a', ask: crowd })
    assert.deepEqual(ask.json().issues, [{ path: 'ask', message: 'has more than 2000 members' }])
  })
})
