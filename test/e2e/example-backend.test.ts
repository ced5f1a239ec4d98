import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { InjectOptions } from 'fastify'
import { decodeJwt } from 'jose'
import { buildBackend } from '../../examples/backend/backend.ts'
import { createJeton } from '../../examples/backend/jeton.ts'
import { createSessions, newSessionSecret } from '../../examples/backend/session.ts'
import { build } from '../helpers/app.ts'

const HOUR_MS = 3_600_000

const minting = [
  ['GET', '/api/mint-signalling-token'],
  ['POST', '/auth'],
  ['POST', '/api/user-token'],
] as const
const guarded = [...minting, ['GET', '/api/me'], ['POST', '/api/revoke']] as const

describe('the example backend', () => {
  it('mints in the shapes of the guides, for whoever is signed in', async (t) => {
    const { signIn, call } = await start(t)
    const cookie = await signIn('u_alice')
    const channels = await call('GET', '/api/mint-signalling-token', { cookie })
    assert.deepEqual(Object.keys(channels.json()), ['token'])
    const { sub, fmt, permissions, peerMetadata } = decodeJwt(channels.json().token)
    const me = (await call('GET', '/api/me', { cookie })).json()
    assert.deepEqual([sub, fmt], ['u_alice', 'channels'])
    assert.deepEqual(permissions, ['publish', 'subscribe', 'presence', 'send'])
    assert.deepEqual(peerMetadata, { name: 'Alice', color: me.color })

    const peer = (await call('POST', '/auth', { cookie })).json()
    assert.deepEqual(Object.keys(peer), ['groupId', 'token'])
    const claims = decodeJwt(peer.token)
    assert.deepEqual([claims.gid, claims.pid, claims.fmt], [peer.groupId, 'u_alice', 'peer'])

    const user = decodeJwt((await call('POST', '/api/user-token', { cookie })).json().token)
    assert.deepEqual([user.sub, user.name, user.color], ['u_alice', 'Alice', me.color])
  })

  for (const [method, path] of guarded) {
    it(`answers ${method} ${path} to nobody who is not signed in`, async (t) => {
      const { signIn, call } = await start(t)
      const [name, value = ''] = (await signIn('u_alice')).split('=')
      const [payload = '', signature = ''] = value.split('.')
      const other = Buffer.from(
        String(Buffer.from(payload, 'base64url')).replace('u_alice', 'u_bob'),
      ).toString('base64url')
      const cookies = [
        '',
        'session=',
        `${name}=${payload}`,
        `${name}=${payload}.`,
        `${name}=${other}.${signature}`,
        `${name}=${payload}.${signature}x`,
        `not${name}=${value}`,
      ]
      for (const cookie of cookies) {
        const reply = await call(method, path, { cookie })
        assert.deepEqual([reply.statusCode, reply.json()], [401, { error: 'signed_out' }], cookie)
      }
    })
  }

  it('takes the user from the session, whatever the request says', async (t) => {
    const { signIn, call } = await start(t)
    const cookie = await signIn('u_alice')
    const asked = { userId: 'u_bob', peerId: 'u_bob', groupId: 'other', sub: 'u_bob' }
    for (const [method, path] of minting) {
      const query = `?${new URLSearchParams(asked)}`
      const body = method === 'POST' ? { payload: asked } : {}
      const { token } = (await call(method, `${path}${query}`, { cookie }, body)).json()
      assert.match(String(decodeJwt(token).sub), /(^|:)u_alice$/, path)
    }
  })

  it('keeps the cookie from scripts, from other sites, and to the tab that signed in', async (t) => {
    const { call } = await start(t)
    const reply = await call('POST', '/sign-in', {}, { payload: { userId: 'u_bob' } })
    assert.equal(reply.statusCode, 303)
    const path = String(reply.headers.location)
    assert.match(path, /^\/tab\/[\w-]+\/$/)
    assert.match(
      String(reply.headers['set-cookie']),
      new RegExp(`; Path=${path}; Max-Age=\\d+; HttpOnly; SameSite=Strict$`),
    )
  })

  it('ends a session after eight hours', async (t) => {
    const { signIn, call, advance } = await start(t)
    const cookie = await signIn('u_alice')
    advance(8 * HOUR_MS - 1)
    assert.equal((await call('GET', '/api/me', { cookie })).statusCode, 200)
    advance(1)
    assert.equal((await call('GET', '/api/me', { cookie })).statusCode, 401)
  })

  it('ends the session and the tokens of whoever is shut out, and of nobody else', async (t) => {
    const { signIn, call, advance, service } = await start(t)
    const [alice, bob] = [await signIn('u_alice'), await signIn('u_bob')]
    const token = (await call('GET', '/api/mint-signalling-token', { cookie: bob })).json().token
    const peer = (await call('POST', '/auth', { cookie: bob })).json().token
    const own = (await call('GET', '/api/mint-signalling-token', { cookie: alice })).json().token
    const reply = await call('POST', '/api/revoke', { cookie: alice }, { payload: { peerId: 'u_bob' } })
    assert.equal(reply.statusCode, 204)
    const codes = []
    for (const one of [token, peer, own])
      codes.push((await service.post('/v1/verify', { token: one })).json().code)
    assert.deepEqual(codes, ['token_revoked', 'token_revoked', undefined])
    assert.equal((await call('GET', '/api/me', { cookie: bob })).statusCode, 401)
    assert.equal((await call('GET', '/api/me', { cookie: alice })).statusCode, 200)
    advance(1)
    assert.equal((await call('GET', '/api/me', { cookie: await signIn('u_bob') })).statusCode, 200)
  })

  for (const payload of [{}, { peerId: 'u_nobody' }, { peerId: 7 }, { peerId: '__proto__' }]) {
    it(`shuts nobody out for ${JSON.stringify(payload)}`, async (t) => {
      const { signIn, call } = await start(t)
      const reply = await call('POST', '/api/revoke', { cookie: await signIn('u_alice') }, { payload })
      assert.equal(reply.statusCode, 404)
    })
  }

  it('says how long to wait when someone had enough tokens', async (t) => {
    const { signIn, call } = await start(t)
    const cookie = await signIn('u_alice')
    const replies = []
    for (let count = 0; count < 10; count += 1)
      replies.push(await call('GET', '/api/mint-signalling-token', { cookie }))
    const last = replies.at(-1)
    assert.deepEqual([last?.statusCode, last?.json()], [429, { error: 'too_many_tokens' }])
    assert.match(String(last?.headers['retry-after']), /^[1-9]\d*$/)
  })

  it('keeps to itself why Jeton gave no token, and writes it down', async (t) => {
    const { signIn, call, log, service } = await start(t)
    const cookie = await signIn('u_alice')
    await service.server.close()
    for (const [method, path] of minting) {
      const reply = await call(method, path, { cookie })
      assert.deepEqual([reply.statusCode, reply.json()], [503, { error: 'token_unavailable' }])
    }
    assert.equal(log.length, 3)
    assert.doesNotMatch(JSON.stringify(log), /sk_/)
  })

  it('keeps to itself that its key may not do that', async (t) => {
    const { call, log } = await start(t, ['channels'])
    const reply = await call('POST', '/sign-in', {}, { payload: { userId: 'u_alice' } })
    assert.deepEqual([reply.statusCode, reply.json()], [503, { error: 'token_unavailable' }])
    assert.match(JSON.stringify(log), /beyond_grant/)
  })

  it('acts on nothing that another site sends', async (t) => {
    const { signIn, call } = await start(t)
    const cookie = await signIn('u_alice')
    for (const origin of ['https://evil.example.com', 'null', 'http://localhost:8080.evil.example.com']) {
      for (const path of ['/auth', '/sign-in', '/api/revoke']) {
        assert.equal((await call('POST', path, { cookie, origin })).statusCode, 403, `${origin} ${path}`)
      }
    }
    assert.equal((await call('POST', '/auth', { cookie, origin: 'http://localhost:8080' })).statusCode, 200)
  })

  const files = ['/../backend.ts', '/pages/../session.ts', '/%2e%2e/main.ts', '/package.json', '/lobby.html']
  for (const path of files) {
    it(`has no file at ${path}`, async (t) => {
      const { call } = await start(t)
      assert.equal((await call('GET', path)).statusCode, 404)
    })
  }
})

async function start(t: TestContext, formats = ['user', 'channels', 'peer']) {
  const service = await build(t)
  const { authorization } = await service.keyWith({ uses: ['mint', 'revoke'], formats, channels: ['lobby'] })
  const url = await service.server.listen({ host: '127.0.0.1', port: 0 })
  const log: object[] = []
  const backend = await buildBackend({
    jeton: createJeton({ url, secretKey: authorization.replace('Bearer ', '') }),
    sessions: createSessions({ secret: newSessionSecret(), now: service.seams.now }),
    realtimeUrl: 'ws://127.0.0.1:1',
    log: (event, about) => log.push({ event, ...about }),
  })
  t.after(() => backend.close())
  return { service, log, call, signIn, advance: service.seams.advance }

  async function call(
    method: 'GET' | 'POST',
    url: string,
    headers: Record<string, string> = {},
    more: Pick<InjectOptions, 'payload'> = {},
  ) {
    return await backend.inject({ method, url, headers: { host: 'localhost:8080', ...headers }, ...more })
  }

  /** @returns the cookie, as a browser sends it */
  async function signIn(userId: string): Promise<string> {
    const reply = await call('POST', '/sign-in', {}, { payload: { userId } })
    return String(reply.headers['set-cookie']).split(';')[0] ?? ''
  }
}
