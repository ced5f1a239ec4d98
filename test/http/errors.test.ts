import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { errorCatalogue } from '../../src/domain/errors.ts'
import { build } from '../helpers/app.ts'

/** JSON that is nested so many levels deep. */
function deep(levels: number): string {
  return `{"peerId":"a","metadata":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`
}

describe('bad input', () => {
  const cases: [string, string | Buffer, Record<string, string>, number, string, string?][] = [
    ['JSON that is none', '{"peerId":', {}, 400, 'body_invalid'],
    ['no body', '', {}, 400, 'body_invalid'],
    ['null', 'null', {}, 400, 'body_invalid', ''],
    ['a list', '[]', {}, 400, 'body_invalid', ''],
    ['a missing member', '{}', {}, 400, 'body_invalid', 'peerId'],
    ['a member of the wrong type', '{"peerId":{}}', {}, 400, 'body_invalid', 'peerId'],
    ['an unknown member', '{"peerId":"a","role":"admin"}', {}, 400, 'body_invalid', 'role'],
    ['a fault deep inside', '{"peerId":"a","channels":["a",7]}', {}, 400, 'body_invalid', 'channels[1]'],
    [
      'a reserved channel',
      '{"peerId":"a","channels":["_system/x"]}',
      {},
      400,
      'channel_reserved',
      'channels[0]',
    ],
    ['__proto__', '{"peerId":"a","__proto__":{"x":1}}', {}, 400, 'body_invalid', '__proto__'],
    [
      '__proto__ in other letters',
      '{"peerId":"a","\\u005f_proto__":1}',
      {},
      400,
      'body_invalid',
      '__proto__',
    ],
    [
      '__proto__ inside metadata',
      '{"peerId":"a","metadata":{"__proto__":{"x":1}}}',
      {},
      400,
      'body_invalid',
      'metadata.__proto__',
    ],
    [
      'a constructor with a prototype',
      '{"constructor":{"prototype":{}}}',
      {},
      400,
      'body_invalid',
      'constructor',
    ],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), {}, 400, 'body_invalid'],
    ['an endless number', '{"peerId":"a","metadata":{"a":[1e400]}}', {}, 400, 'body_invalid', 'metadata'],
    ['5,000 levels', deep(5_000), {}, 400, 'body_invalid', 'metadata'],
    ['15,000 levels of lists', `${'['.repeat(15_000)}${']'.repeat(15_000)}`, {}, 400, 'body_invalid', ''],
    ['33 KB', `{"peerId":"${'a'.repeat(33_000)}"}`, {}, 413, 'body_too_large'],
    [
      'a form',
      'peerId=a',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'media_type_unsupported',
    ],
    ['text', '{"peerId":"a"}', { 'content-type': 'text/plain' }, 415, 'media_type_unsupported'],
    ['no media type', '{"peerId":"a"}', { 'content-type': '' }, 415, 'media_type_unsupported'],
  ]
  for (const [what, payload, headers, status, error, path] of cases) {
    it(`answers ${what} with ${error}, and goes on`, async (t) => {
      const { post } = await build(t)
      const reply = await post('/v1/tokens', payload, headers)
      assert.equal(reply.statusCode, status, reply.body)
      assert.equal(reply.headers['content-type'], 'application/problem+json; charset=utf-8')
      assert.equal(reply.json().error, error)
      if (path !== undefined) assert.equal(reply.json().issues[0].path, path)
      assert.equal((await post('/v1/tokens', { peerId: 'a' })).statusCode, 200)
    })
  }

  it('costs the subject nothing', async (t) => {
    const { post } = await build(t)
    for (let attempt = 0; attempt < 20; attempt += 1)
      await post('/v1/tokens', { peerId: 'a', channels: ['_system/'] })
    const reply = await post('/v1/tokens', { peerId: 'a' })
    assert.match(String(reply.headers.ratelimit), /^"subject";r=9;/)
  })

  it('names at most 20 faults, however many there are', async (t) => {
    const { post } = await build(t)
    const body = { peerId: 'a', ...Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`x${i}`, 1])) }
    assert.equal((await post('/v1/tokens', body)).json().issues.length, 20)
  })
})

describe('a problem', () => {
  it('has the members of RFC 9457 and those that real clients print', async (t) => {
    const { post } = await build(t, { PUBLIC_URL: 'https://tokens.example.com' })
    const reply = await post('/v1/tokens', { peerId: '' }, { 'x-request-id': 'my-request.1' })
    assert.deepEqual(reply.json(), {
      type: 'https://tokens.example.com/docs/errors#body_invalid',
      title: errorCatalogue.body_invalid.title,
      status: 400,
      detail: 'peerId must be 1 to 128 characters.',
      error: 'body_invalid',
      message: 'peerId must be 1 to 128 characters.',
      requestId: 'my-request.1',
      issues: [{ path: 'peerId', message: 'must be 1 to 128 characters' }],
    })
    assert.equal(reply.headers['x-request-id'], 'my-request.1')
  })

  it('answers a path that is not there, and limits who asks for many', async (t) => {
    const { server } = await build(t)
    const reply = await server.inject({ url: '/admin.php?token=secret' })
    assert.equal(reply.statusCode, 404)
    assert.equal(reply.json().error, 'not_found')
    assert.equal(reply.body.includes('secret'), false)
    const statuses: number[] = []
    for (let ask = 0; ask < 130; ask += 1) statuses.push((await server.inject({ url: `/${ask}` })).statusCode)
    assert.deepEqual(new Set(statuses), new Set([404, 429]))
    const limited = await server.inject({ url: '/again' })
    assert.equal(limited.json().error, 'rate_limited')
    assert.ok(Number(limited.headers['retry-after']) > 0)
    assert.equal(limited.headers['x-ratelimit-limit'], undefined)
  })

  it('answers a path that cannot be decoded', async (t) => {
    const { server } = await build(t)
    const reply = await server.inject({ url: '/%zz' })
    assert.equal(reply.statusCode, 400)
    assert.equal(reply.json().error, 'request_malformed')
    assert.ok(reply.headers['x-request-id'])
  })

  it('hides what went wrong inside, and tells the log', async (t) => {
    const { store, follower, made, lines, post, seams } = await build(t)
    // The newest key signs.
    seams.advance(1)
    const broken = {
      kid: 'sig_broken',
      algorithm: 'HS256',
      sealedSecret: Buffer.of(1),
      publicJwk: undefined,
      format: undefined,
    } as const
    const period = {
      signsFrom: seams.now(),
      signsUntil: undefined,
      verifiesUntil: undefined,
      exportedAt: undefined,
    }
    const key = { ...broken, ...period, environmentId: made.environment.id, createdAt: seams.now() }
    await store.change((changes) => changes.insertSigningKey(key))
    await follower.refresh()
    const reply = await post('/v1/tokens', { peerId: 'a' }, { 'x-request-id': 'r1' })
    assert.equal(reply.statusCode, 500)
    assert.equal(reply.json().error, 'internal')
    assert.equal(reply.body.includes('sig_broken'), false)
    const line = lines.find(({ msg }) => msg === 'request failed')
    assert.equal(line?.requestId, 'r1')
    assert.match(JSON.stringify(line?.err), /sig_broken/)
  })

  it('carries a request id of its own when the caller’s is none', async (t) => {
    const given = new Set<string>()
    for (const { post } of [await build(t), await build(t)]) {
      for (const id of ['a b', 'x'.repeat(65), 'é', '']) {
        const reply = await post('/v1/tokens', { peerId: 'a' }, { 'x-request-id': id })
        const own = String(reply.headers['x-request-id'])
        assert.match(own, /^[\da-f-]{36}$/)
        given.add(own)
        // Whoever hands it on is understood.
        const again = await post('/v1/tokens', { peerId: 'a' }, { 'x-request-id': own })
        assert.equal(again.headers['x-request-id'], own)
      }
    }
    assert.equal(given.size, 8)
  })

  it('lets nothing be run, shown in a frame, guessed or loaded by other sites, whatever is answered', async (t) => {
    const { post, server } = await build(t)
    const answers = [
      await post('/auth/token', { userId: 'u', name: 'U' }),
      await post('/auth/token', {}),
      await server.inject({ method: 'POST', url: '/auth/token' }),
      await server.inject({ url: '/nothing' }),
      await server.inject({ url: '/readyz' }),
    ]
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      [200, 400, 401, 404, 200],
    )
    for (const { headers } of answers) {
      assert.deepEqual(
        ['content-security-policy', 'x-content-type-options', 'cross-origin-resource-policy'].map(
          (name) => headers[name],
        ),
        ["default-src 'none';frame-ancestors 'none'", 'nosniff', 'same-origin'],
      )
    }
    const page = await server.inject({ url: '/docs/' })
    assert.match(String(page.headers['content-security-policy']), /frame-ancestors 'self'/)
    assert.equal(page.headers['referrer-policy'], 'no-referrer')
  })
})

describe('the catalogue', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  const sections = [...page.matchAll(/^## `?(\w+)`?$/gm)].map((match) => match[1])

  it('is explained code by code, in order', () => {
    assert.deepEqual(sections, Object.keys(errorCatalogue))
  })

  it('is served where the problems point', async (t) => {
    const { server } = await build(t)
    assert.equal((await server.inject({ url: '/docs/errors' })).body, page)
  })
})
