import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build } from '../helpers/app.ts'

const body = { peerId: 'alice' }

describe('the guard', () => {
  const refused: [string, (key: string, other: string) => Record<string, string>, number, string][] = [
    ['no key', () => ({ authorization: '' }), 401, 'key_missing'],
    ['another scheme', (key) => ({ authorization: `Digest ${key}` }), 401, 'key_missing'],
    [
      'a key cut by one character',
      (key) => ({ authorization: `Bearer ${key.slice(0, -1)}` }),
      401,
      'key_malformed',
    ],
    ['a key with one character more', (key) => ({ 'x-api-key': `${key}x` }), 401, 'key_malformed'],
    ['any text', () => ({ authorization: 'Bearer hello' }), 401, 'key_malformed'],
    ['a publishable key', (_, other) => ({ authorization: `Bearer ${other}` }), 403, 'key_kind_wrong'],
    ['a key under another id', (key) => ({ authorization: `Bearer kid_0:${key}` }), 401, 'key_unknown'],
    [
      'a browser’s Origin',
      (key) => ({ 'x-api-key': key, origin: 'https://x' }),
      403,
      'secret_key_in_browser',
    ],
    [
      'a browser’s null Origin',
      (key) => ({ 'x-api-key': key, origin: 'null' }),
      403,
      'secret_key_in_browser',
    ],
    [
      'a browser’s Sec-Fetch-Site',
      (key) => ({ 'x-api-key': key, 'sec-fetch-site': 'same-origin' }),
      403,
      'secret_key_in_browser',
    ],
  ]
  for (const [what, headers, status, error] of refused) {
    it(`refuses ${what} with ${error}`, async (t) => {
      const { post, made } = await build(t)
      const reply = await post('/v1/tokens', body, headers(made.secretKey, made.publishableKey))
      assert.equal(reply.statusCode, status)
      assert.equal(reply.json().error, error)
      assert.equal(reply.headers['www-authenticate'], status === 401 ? 'Bearer realm="jeton"' : undefined)
    })
  }

  it('lets Sec-Fetch-Mode pass, which servers send as well', async (t) => {
    const { post, made } = await build(t)
    const headers = { 'x-api-key': made.secretKey, 'sec-fetch-mode': 'cors' }
    assert.equal((await post('/v1/tokens', body, headers)).statusCode, 200)
  })

  it('flags a secret key that a browser sent', async (t) => {
    const { post, store, made, seams } = await build(t)
    await post('/v1/tokens', body, { 'x-api-key': made.secretKey, origin: 'https://x' })
    const find = async () =>
      (await store.listApiKeys(made.environment.id)).find(({ id }) => id === made.keyId)
    while ((await find())?.exposedAt === undefined) await new Promise((resolve) => setImmediate(resolve))
    assert.equal((await find())?.exposedAt, seams.now())
  })

  it('judges the key before it reads the body', async (t) => {
    const { post } = await build(t)
    assert.equal((await post('/v1/tokens', '{', { authorization: 'Bearer x' })).json().error, 'key_malformed')
  })

  it('refuses a secret over plain HTTP when HTTPS is required, loopback aside', async (t) => {
    const { server, made } = await build(t, { REQUIRE_HTTPS: 'true', TRUST_PROXY: '10.0.0.9' })
    const status = async (remoteAddress: string, headers: Record<string, string> = {}) => {
      const reply = await server.inject({
        method: 'POST',
        url: '/v1/tokens',
        remoteAddress,
        headers: { 'x-api-key': made.secretKey, ...headers },
        payload: body,
      })
      return reply.statusCode === 200 ? 200 : reply.json().error
    }
    const https = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.7' }
    const http = { 'x-forwarded-proto': 'http', 'x-forwarded-for': '192.0.2.7' }
    assert.equal(await status('192.0.2.7'), 'https_required')
    assert.equal(await status('192.0.2.7', https), 'https_required')
    assert.equal(await status('10.0.0.9', http), 'https_required')
    assert.equal(await status('10.0.0.9', https), 200)
    for (const loopback of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.equal(await status(loopback), 200)
  })
})

describe('a forwarded address', () => {
  it('is taken only when it is one, without the port that some proxies put behind it', async (t) => {
    const { server, made, records } = await build(t, { TRUST_PROXY: '10.0.0.9' })
    const addresses: [string, string][] = [
      ['192.0.2.7', '192.0.2.7'],
      ['192.0.2.7:4711', '192.0.2.7'],
      ['[2001:db8::1]:4711', '2001:db8::1'],
      ['127.evil', '10.0.0.9'],
      ['x'.repeat(2_000), '10.0.0.9'],
    ]
    for (const [forwarded] of addresses) {
      const headers = { 'x-api-key': made.secretKey, 'x-forwarded-for': forwarded }
      await server.inject({
        method: 'POST',
        url: '/v1/client/tokens',
        remoteAddress: '10.0.0.9',
        headers,
        payload: {},
      })
    }
    const recorded = records.filter(({ type }) => type === 'issued').map(({ address }) => address)
    assert.deepEqual(
      recorded,
      addresses.map(([, address]) => address),
    )
  })

  it('never stands for loopback, and neither does a proxy on this machine', async (t) => {
    const { server, made } = await build(t, { REQUIRE_HTTPS: 'true', TRUST_PROXY: '127.0.0.1' })
    const forwarded = [
      { 'x-forwarded-for': '127.0.0.1' },
      { 'x-forwarded-for': '192.0.2.7' },
      { 'x-forwarded-proto': 'http' },
      { forwarded: 'for=192.0.2.7' },
    ]
    for (const headers of forwarded) {
      const reply = await server.inject({
        method: 'POST',
        url: '/v1/client/tokens',
        headers: { 'x-api-key': made.secretKey, ...headers },
        payload: {},
      })
      assert.equal(reply.json().error, 'https_required', JSON.stringify(headers))
    }
  })
})

describe('failed authentications', () => {
  const env = { RATE_LIMIT_AUTH_FAILURES: '3/1m' }

  it('are limited by network, and a living key never is', async (t) => {
    const { server, made } = await build(t, env)
    const call = (remoteAddress: string, key: string) =>
      server.inject({
        method: 'POST',
        url: '/v1/tokens',
        remoteAddress,
        headers: { 'x-api-key': key },
        payload: body,
      })
    for (let failure = 0; failure < 3; failure += 1) {
      assert.equal((await call(`2001:db8::${failure}`, 'wrong')).statusCode, 401)
    }
    const limited = await call('2001:db8::ffff', 'wrong')
    assert.equal(limited.statusCode, 429)
    assert.equal(limited.json().error, 'rate_limited')
    assert.equal(limited.headers['retry-after'], '60')
    assert.equal((await call('2001:db8:0:1::1', 'wrong')).statusCode, 401)
    assert.equal((await call('2001:db8::1', made.secretKey)).statusCode, 200)
  })

  it('are logged by their number once there are many', async (t) => {
    const { post, lines } = await build(t, env)
    for (let failure = 0; failure < 100; failure += 1)
      await post('/v1/tokens', body, { 'x-api-key': 'wrong' })
    const messages = lines.map(({ msg }) => msg)
    assert.equal(messages.filter((msg) => msg === 'authentication failed').length, 3)
    const limited = lines.filter(({ msg }) => msg === 'authentication failures limited')
    assert.deepEqual(
      limited.map(({ failures }) => failures),
      [4, 8, 16, 32, 64],
    )
  })

  it('flags a key that a browser sent, whatever else would have refused it', async (t) => {
    const { server, keyWith, store, follower } = await build(t)
    for (const grant of [{ addresses: ['10.0.0.0/8'] }, { uses: ['verify' as const] }]) {
      const headers = { ...(await keyWith(grant)), origin: 'https://app.example.com' }
      const reply = await server.inject({
        method: 'POST',
        url: '/v1/tokens',
        headers,
        payload: { peerId: 'a' },
      })
      assert.equal(reply.json().error, 'secret_key_in_browser')
    }
    await follower.refresh()
    const keys = await store.listApiKeys(undefined)
    assert.equal(keys.filter(({ exposedAt }) => exposedAt !== undefined).length, 2)
  })
})
