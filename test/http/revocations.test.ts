import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { writeKey } from '../../src/domain/api-key.ts'
import { USES, type Use } from '../../src/domain/grant.ts'
import { systemSeams } from '../../src/seams.ts'
import { build, type TestService } from '../helpers/app.ts'
import { mintToken, partsOf } from '../helpers/tokens.ts'

const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))
const admin = { authorization: `Bearer ${ADMIN_KEY}` }

const withAdmin = (t: TestContext) => build(t, { ADMIN_KEY })

async function verdictOf({ post }: TestService, token: string): Promise<string> {
  const { allowed, code } = (await post('/v1/verify', { token })).json()
  return allowed ? 'allowed' : code
}

describe('POST /v1/revocations', () => {
  const requests: [string, (service: TestService, token: string) => object][] = [
    ['one token', (_, token) => ({ jti: partsOf(token).claims.jti })],
    ['a subject', () => ({ subject: 'alice' })],
    ['a subject up to now', ({ seams }) => ({ subject: 'alice', before: seams.now() / 1000 })],
    ['a key', ({ made }) => ({ keyId: made.keyId })],
  ]
  for (const [what, request] of requests) {
    it(`revokes ${what}, for the environment’s own secret key`, async (t) => {
      const service = await build(t)
      const token = await mintToken(service, 'channels')
      assert.equal(await verdictOf(service, token), 'allowed')
      const reply = await service.post('/v1/revocations', request(service, token))
      assert.equal(reply.statusCode, 200)
      assert.deepEqual(reply.json(), { version: service.follower.revision() })
      assert.equal(await verdictOf(service, token), 'token_revoked')
    })

    it(`revokes ${what}, for the admin key`, async (t) => {
      const service = await withAdmin(t)
      const token = await mintToken(service, 'channels')
      const body = { ...request(service, token), environmentId: service.made.environment.id }
      const reply = await service.post('/v1/revocations', body, admin)
      assert.equal(reply.statusCode, 200, reply.body)
      assert.equal(await verdictOf(service, token), 'token_revoked')
    })
  }

  const bad: [body: unknown, path: string][] = [
    [{}, ''],
    [{ before: 1 }, ''],
    [{ jti: 'a', subject: 'b' }, ''],
    [{ subject: 'a', keyId: 'b' }, ''],
    [{ jti: 'a', before: 1 }, 'before'],
    [{ jti: '' }, 'jti'],
    [{ jti: 'x'.repeat(257) }, 'jti'],
    [{ jti: 'a\u0000b' }, 'jti'],
    [{ jti: '\ud83d' }, 'jti'],
    [{ jti: 7 }, 'jti'],
    [{ subject: '' }, 'subject'],
    [{ subject: ['alice'] }, 'subject'],
    [{ subject: 'a', before: -1 }, 'before'],
    [{ subject: 'a', before: 1.5 }, 'before'],
    [{ subject: 'a', before: '1' }, 'before'],
    [{ subject: 'a', before: null }, 'before'],
    [{ subject: 'a', until: 1 }, 'until'],
    [{ subject: 'a', before: Date.UTC(2026, 10, 22, 12) / 1000 + 1 }, 'before'],
    [[], ''],
  ]
  for (const [body, path] of bad) {
    it(`refuses ${JSON.stringify(body).slice(0, 60)} with the path "${path}"`, async (t) => {
      const service = await build(t)
      const revision = service.follower.revision()
      const reply = await service.post('/v1/revocations', body)
      assert.equal(reply.statusCode, 400)
      assert.equal(reply.json().issues[0].path, path)
      await service.follower.refresh()
      assert.equal(service.follower.revision(), revision)
    })
  }

  it('asks the admin key for an environment that is there', async (t) => {
    const { post } = await withAdmin(t)
    const missing = await post('/v1/revocations', { jti: 'a' }, admin)
    assert.deepEqual([missing.statusCode, missing.json().issues[0].path], [400, 'environmentId'])
    const unknown = await post('/v1/revocations', { jti: 'a', environmentId: 'env_0' }, admin)
    assert.equal(unknown.statusCode, 404)
  })

  it('knows nothing of another environment or its keys, for a secret key', async (t) => {
    const service = await build(t)
    const another = await service.environments.create('Another')
    await service.follower.refresh()
    const bodies = [
      { jti: 'a', environmentId: another.environment.id },
      { jti: 'a', environmentId: 'env_0' },
      { keyId: another.keyId },
      { keyId: 'kid_0' },
    ]
    for (const body of bodies) assert.equal((await service.post('/v1/revocations', body)).statusCode, 404)
    const own = { jti: 'a', environmentId: service.made.environment.id }
    assert.equal((await service.post('/v1/revocations', own)).statusCode, 200)
  })

  it('takes neither another admin key, nor a secret key from a browser', async (t) => {
    const service = await withAdmin(t)
    const other = writeKey('admin', undefined, systemSeams.random(32))
    const body = { jti: 'a', environmentId: service.made.environment.id }
    const stranger = await service.post('/v1/revocations', body, { authorization: `Bearer ${other}` })
    assert.deepEqual([stranger.statusCode, stranger.json().error], [401, 'key_unknown'])
    const headers = { authorization: `Bearer ${service.made.secretKey}`, origin: 'https://a' }
    const browser = await service.post('/v1/revocations', body, headers)
    assert.deepEqual([browser.statusCode, browser.json().error], [403, 'secret_key_in_browser'])
  })

  const uses: [Use[], status: number][] = [
    [['revoke'], 200],
    [['mint', 'revoke'], 200],
    [['verify'], 403],
    [['mint', 'verify'], 403],
    [[...USES], 200],
  ]
  for (const [granted, status] of uses) {
    it(`answers a key for ${granted.join(' and ')} with ${status}`, async (t) => {
      const { keyWith, post } = await build(t)
      const reply = await post('/v1/revocations', { subject: 'alice' }, await keyWith({ uses: granted }))
      assert.equal(reply.statusCode, status, reply.body)
    })
  }

  it('ends what was minted between two revocations of one second, and not what comes after', async (t) => {
    const { post } = await build(t)
    const mint = async () => (await post('/v1/tokens', { peerId: 'alice' })).json().token
    const isAllowed = async (token: string) => (await post('/v1/verify', { token })).json().allowed
    const tokens = [await mint()]
    for (let round = 0; round < 3; round += 1) {
      assert.equal((await post('/v1/revocations', { subject: 'alice' })).statusCode, 200)
      for (const token of tokens) assert.equal(await isAllowed(token), false)
      tokens.push(await mint())
      assert.equal(await isAllowed(tokens.at(-1) ?? ''), true)
    }
  })
})
