import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { build } from '../helpers/app.ts'
import { changesSince } from '../helpers/changes.ts'
import { START_MS } from '../helpers/seams.ts'

const NOW = START_MS / 1000
const endpoints = [
  { url: '/auth/token', body: { userId: 'alice', name: 'Alice' }, fmt: 'user' },
  { url: '/v1/tokens', body: { peerId: 'alice' }, fmt: 'channels' },
]

for (const { url, body, fmt } of endpoints) {
  describe(`POST ${url}`, () => {
    it('answers with the members that the description of the API promises', async (t) => {
      const { post, server } = await build(t)
      const { paths } = (await server.inject({ url: '/openapi.json' })).json()
      const { schema } = paths[url].post.responses['200'].content['application/json']
      const answer = (await post(url, body)).json()
      for (const name of schema.required) assert.ok(name in answer, name)
      for (const name of Object.keys(answer)) assert.ok(name in schema.properties, name)
    })

    it('answers with a token that holds what every token holds', async (t) => {
      const { post, made } = await build(t, { PUBLIC_URL: 'https://tokens.example.com/' })
      const reply = await post(url, body)
      assert.equal(reply.statusCode, 200)
      assert.equal(reply.headers['cache-control'], 'no-store')
      const { token, expiresAt } = reply.json()
      const { jti, ...claims } = decodeJwt(token)
      assert.match(String(jti), /^[\w-]{22}$/)
      assert.equal(claims.iss, `https://tokens.example.com/environments/${made.environment.id}`)
      assert.equal(claims.aud, made.environment.id)
      assert.equal(claims.sub, 'alice')
      assert.equal(claims.client_id, made.keyId)
      assert.equal(claims.fmt, fmt)
      assert.equal(claims.iat, NOW)
      assert.equal(claims.exp, NOW + 3_600)
      assert.equal(expiresAt, claims.exp)
      assert.equal('nbf' in claims, false)
      const { kid, ...header } = decodeProtectedHeader(token)
      assert.deepEqual(header, { alg: 'HS256', typ: 'JWT' })
      assert.match(String(kid), /^sig_/)
    })

    it('takes the key in all three spellings', async (t) => {
      const { post, made } = await build(t)
      const spellings = [
        { authorization: `Bearer ${made.secretKey}` },
        { authorization: `bearer ${made.keyId}:${made.secretKey}` },
        { authorization: `Basic ${btoa(`${made.keyId}:${made.secretKey}`)}` },
        { 'x-api-key': made.secretKey },
      ]
      for (const headers of spellings) assert.equal((await post(url, body, headers)).statusCode, 200)
    })

    it('never gives the same jti twice', async (t) => {
      const { post } = await build(t)
      const tokens = [await post(url, body), await post(url, body)].map((reply) =>
        decodeJwt(reply.json().token),
      )
      assert.notEqual(tokens[0]?.jti, tokens[1]?.jti)
    })

    it('is reached with doubled slashes too', async (t) => {
      const { post } = await build(t)
      assert.equal((await post(url.replaceAll('/', '//'), body)).statusCode, 200)
    })

    it('shows no permission for a browser to call it', async (t) => {
      const { server } = await build(t, { CORS_ORIGINS: 'https://app.example.com' })
      const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' }
      const preflight = await server.inject({ method: 'OPTIONS', url, headers })
      assert.equal(preflight.statusCode, 404)
      assert.equal(preflight.headers['access-control-allow-origin'], undefined)
    })
  })
}

describe('a token', () => {
  it('is signed by its own environment’s key, and verifies with nobody else’s', async (t) => {
    const { post, environments, follower, made, store } = await build(t)
    const other = await environments.create('Other', { signingAlgorithm: 'EdDSA' })
    const mine = await environments.create('Mine', { signingAlgorithm: 'EdDSA' })
    await follower.refresh()
    const mint = async (key: string) =>
      (await post('/v1/tokens', { peerId: 'a' }, { 'x-api-key': key })).json().token
    const publicKey = async (environmentId: string) => {
      const { signingKeys } = await changesSince(store, 0)
      const own = signingKeys.filter((key) => key.environmentId === environmentId)
      return await importJWK(JSON.parse(own.find(({ publicJwk }) => publicJwk)?.publicJwk ?? ''), 'EdDSA')
    }
    const token = await mint(mine.secretKey)
    const currentDate = new Date(START_MS)
    const { payload } = await jwtVerify(token, await publicKey(mine.environment.id), { currentDate })
    assert.equal(payload.aud, mine.environment.id)
    await assert.rejects(
      jwtVerify(token, await publicKey(other.environment.id), { currentDate }),
      /signature/,
    )
    assert.equal(decodeProtectedHeader(await mint(made.secretKey)).alg, 'HS256')
  })

  it('carries what was asked for and what follows from it', async (t) => {
    const { post } = await build(t)
    const asked = {
      channels: ['room-*'],
      permissions: ['publish'],
      metadata: { m: 1 },
      peerMetadata: { p: 2 },
    }
    const reply = await post('/v1/tokens', { sub: 'bob', ...asked, exp: NOW + 90 })
    const claims = decodeJwt(reply.json().token)
    assert.deepEqual({ ...claims, ...asked }, claims)
    assert.equal(claims.sub, 'bob')
    assert.equal(reply.json().expiresAt, NOW + 90)
  })
})
