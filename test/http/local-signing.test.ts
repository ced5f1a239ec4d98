import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { SignJWT } from 'jose'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { build } from '../helpers/app.ts'

const ADMIN = writeKey('admin', undefined, systemSeams.random(32))

async function setup(t: TestContext) {
  const service = await build(t, { ADMIN_KEY: ADMIN })
  const { server, post, seams, made } = service
  const admin = async (method: 'GET' | 'POST', url: string, payload?: object) => {
    const headers = { authorization: `Bearer ${ADMIN}` }
    const reply = await server.inject({ method, url, headers, ...(payload && { payload }) })
    return { status: reply.statusCode, body: reply.json() }
  }
  const keysPath = `/v1/environments/${made.environment.id}/keys`
  const makeKey = async (members: object = {}) => {
    const { body } = await admin('POST', keysPath, { kind: 'secret', localSigning: true, ...members })
    return { id: String(body.key.id), secret: String(body.secretKey) }
  }
  // As a backend does by itself: keyed with the bytes of the key's whole text (WIRE 2).
  const sign = ({ id, secret }: { id: string; secret: string }, members: object = {}) => {
    const iat = Math.floor(seams.now() / 1000)
    const claims = { sub: 'alice', channels: ['room-1'], permissions: ['subscribe'], iat, exp: iat + 60 }
    return new SignJWT({ ...claims, ...members })
      .setProtectedHeader({ alg: 'HS256', kid: id })
      .sign(Buffer.from(secret))
  }
  const judge = async (token: string) => (await post('/v1/verify', { token })).json()
  return { ...service, admin, keysPath, makeKey, sign, judge }
}

describe('a key for local signing', () => {
  it('is made on purpose, and what its holder signs is let in', async (t) => {
    const { admin, makeKey, sign, judge, keysPath } = await setup(t)
    const key = await makeKey()
    const decision = await judge(await sign(key))
    assert.equal(decision.allowed, true)
    assert.deepEqual([decision.format, decision.subject, decision.keyId], ['channels', 'alice', key.id])
    assert.equal((await admin('GET', `/v1/keys/${key.id}`)).body.key.localSigning, true)
    const ordinary = await makeKey({ localSigning: false })
    assert.equal((await judge(await sign(ordinary))).code, 'signing_key_unknown')
    const publishable = { kind: 'publishable', localSigning: true }
    assert.equal((await admin('POST', keysPath, publishable)).body.issues[0].path, 'localSigning')
  })

  it('has a successor that may sign as well, and signs nothing new behind its grace', async (t) => {
    const { admin, makeKey, sign, judge, seams } = await setup(t)
    const key = await makeKey()
    const { body } = await admin('POST', `/v1/keys/${key.id}/rotate`, { graceSeconds: 100 })
    const successor = { id: body.key.id, secret: body.secretKey }
    assert.equal((await judge(await sign(successor))).allowed, true)
    seams.advance(99_000)
    const last = await sign(key)
    seams.advance(1_000)
    assert.equal((await judge(last)).allowed, true)
    assert.equal((await judge(await sign(key))).code, 'signing_key_unknown')
  })

  it('verifies nothing any more once it is revoked', async (t) => {
    const { admin, makeKey, sign, judge } = await setup(t)
    const key = await makeKey()
    const token = await sign(key)
    await admin('POST', `/v1/keys/${key.id}/revoke`)
    assert.equal((await judge(token)).code, 'signing_key_unknown')
  })

  it('keeps its id for itself: no signing key is imported under it', async (t) => {
    const { environments, made, makeKey } = await setup(t)
    const { id: kid } = await makeKey()
    const identity = { environmentId: made.environment.id, kid, format: { name: 'user', algorithm: 'HS256' } }
    const importing = environments.importSigningKey(
      { ...identity, format: { name: 'user', algorithm: 'HS256' } },
      'x'.repeat(32),
    )
    await assert.rejects(importing, { error: 'conflict' })
  })
})

describe('a token that a backend signed', () => {
  const moments: [number, boolean][] = [
    [0, true],
    [10, true],
    [11, false],
  ]
  for (const [nbf, allowed] of moments) {
    it(`is ${allowed ? 'let in' : 'refused'} when its nbf is ${nbf} seconds from now`, async (t) => {
      const { makeKey, sign, judge, seams } = await setup(t)
      const now = Math.floor(seams.now() / 1000)
      const token = await sign(await makeKey(), { nbf: now + nbf })
      assert.equal((await judge(token)).allowed, allowed)
    })
  }
})

describe('a key that is revoked', () => {
  it('leaves its tokens alive, unless it was asked to end them', async (t) => {
    const { admin, makeKey, judge, post } = await setup(t)
    for (const [body, allowed] of [
      [undefined, true],
      [{ tokens: true }, false],
    ] as const) {
      const { id, secret } = await makeKey({ localSigning: false })
      const { token } = (await post('/v1/tokens', { peerId: 'a' }, { 'x-api-key': secret })).json()
      assert.equal((await judge(token)).allowed, true)
      await admin('POST', `/v1/keys/${id}/revoke`, body)
      assert.equal((await judge(token)).allowed, allowed)
    }
  })

  it('ends its tokens with a reported leak as well, rotated or not, and leaves those of its successor', async (t) => {
    const { admin, makeKey, judge, post } = await setup(t)
    const { id, secret } = await makeKey({ localSigning: false })
    const mint = async (key: string) =>
      (await post('/v1/tokens', { peerId: 'a' }, { 'x-api-key': key })).json().token
    const token = await mint(secret)
    const leak = { action: 'rotate', graceSeconds: 60, tokens: true }
    const { body } = await admin('POST', `/v1/keys/${id}/report-leak`, leak)
    assert.equal((await judge(token)).code, 'token_revoked')
    assert.equal((await judge(await mint(body.successor.secretKey))).allowed, true)
    assert.equal((await judge(await mint(secret))).allowed, true)
  })

  it('has no tokens to end when it is a publishable one', async (t) => {
    const { admin, keysPath } = await setup(t)
    const { body } = await admin('POST', keysPath, { kind: 'publishable' })
    const revoked = await admin('POST', `/v1/keys/${body.key.id}/revoke`, { tokens: true })
    assert.equal(revoked.status, 400)
    assert.equal(revoked.body.issues[0].path, 'tokens')
  })
})
