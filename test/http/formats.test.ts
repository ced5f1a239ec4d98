import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeJwt, importJWK, jwtVerify } from 'jose'
import { formatNames } from '../../src/formats/formats.ts'
import { build, buildShared, type TestService } from '../helpers/app.ts'
import { changesSince } from '../helpers/changes.ts'
import { START_MS } from '../helpers/seams.ts'

const fresh = buildShared()

const NOW = START_MS / 1000

async function publicKeyOf({ store }: TestService) {
  const key = (await changesSince(store, 0)).signingKeys.find(({ algorithm }) => algorithm === 'EdDSA')
  return await importJWK(JSON.parse(key?.publicJwk ?? ''), 'EdDSA')
}

describe('every format', () => {
  it('has an endpoint that mints it', async () => {
    const { server, post } = await fresh()
    const { paths } = (await server.inject({ url: '/openapi.json' })).json()
    const minted = new Set<unknown>()
    for (const [path, { post: route }] of Object.entries<{ post?: { description?: string } }>(paths)) {
      const body = /-d '(.+)'/.exec(route?.description ?? '')?.[1]
      if (body === undefined) continue
      const reply = await post(path, body)
      assert.equal(reply.statusCode, 200, path)
      const { token } = reply.json()
      if (token !== undefined) minted.add(decodeJwt(token).fmt)
    }
    assert.deepEqual(minted, new Set(formatNames))
  })
})

describe('POST /v1/peer/tokens', () => {
  it('answers as WIRE 5 says, with a token that the public key verifies', async (t) => {
    const service = await build(t)
    const body = { groupId: 'g', peerId: 'p1', allowPolicy: { groupId: 'g*', peerId: '*' }, ttlSeconds: 60 }
    const reply = await service.post('/v1/peer/tokens', body)
    const { token, ...rest } = reply.json()
    assert.deepEqual(rest, { expiresAt: NOW + 60, groupId: 'g', peerId: 'p1' })
    const { payload } = await jwtVerify(token, await publicKeyOf(service), {
      currentDate: new Date(START_MS),
    })
    assert.deepEqual(Object.keys(payload).slice(0, 4), ['exp', 'gid', 'pid', 'ap'])
    assert.deepEqual(payload.ap, { group_id: 'g*', peer_id: '*' })
    assert.equal(payload.sub, 'g:p1')
    assert.equal(payload.fmt, 'peer')
  })

  it('says null where there is no policy', async () => {
    const { post } = await fresh()
    const reply = await post('/v1/peer/tokens', { groupId: 'g', peerId: 'p1' })
    assert.equal(decodeJwt(reply.json().token).ap, null)
  })
})

describe('POST /v1/client/tokens', () => {
  it('answers as WIRE 3 says', async (t) => {
    const service = await build(t)
    const asked = {
      expiresIn: 300,
      allowedModels: ['a'],
      allowedOrigins: ['https://x'],
      constraints: { realtime: { maxSessionDuration: 120 } },
      metadata: { r: 1 },
      userId: 'alice',
    }
    const { apiKey, token, ...rest } = (await service.post('/v1/client/tokens', asked)).json()
    assert.equal(apiKey, `ek_${token}`)
    assert.deepEqual(rest, {
      expiresAt: '2026-11-22T12:05:00.000Z',
      permissions: { models: ['a'], origins: ['https://x'] },
      constraints: asked.constraints,
    })
    const { payload } = await jwtVerify(token, await publicKeyOf(service), {
      currentDate: new Date(START_MS),
    })
    const { models, origins, constraints, metadata, sub } = payload
    assert.deepEqual(
      { models, origins, constraints, metadata, sub },
      {
        models: ['a'],
        origins: ['https://x'],
        constraints: asked.constraints,
        metadata: { r: 1 },
        sub: 'alice',
      },
    )
  })

  it('answers nothing that was not asked for, lives a minute, and is for the key itself', async () => {
    const { post, made } = await fresh()
    const reply = (await post('/v1/client/tokens', {})).json()
    assert.deepEqual(Object.keys(reply), ['apiKey', 'token', 'expiresAt'])
    const { sub, exp, iat } = decodeJwt(reply.token)
    assert.equal(sub, made.keyId)
    assert.equal(Number(exp) - Number(iat), 60)
  })

  it('counts the key alone where there is no user, and the user where there is one', async (t) => {
    const { post } = await build(t)
    for (let taken = 0; taken < 60; taken += 1)
      assert.equal((await post('/v1/client/tokens', {})).statusCode, 200)
    const last = await post('/v1/client/tokens', {})
    assert.equal(last.headers['ratelimit-policy'], '"key";q=6000;w=60')
    for (let taken = 0; taken < 10; taken += 1) await post('/v1/client/tokens', { userId: 'alice' })
    assert.equal((await post('/v1/client/tokens', { userId: 'alice' })).statusCode, 429)
    assert.equal((await post('/auth/token', { userId: 'alice', name: 'A' })).statusCode, 429)
  })

  it('refuses a token as a key, in either spelling, and says so', async () => {
    const { post } = await fresh()
    const { apiKey, token } = (await post('/v1/client/tokens', {})).json()
    for (const key of [apiKey, token]) {
      const reply = await post('/v1/client/tokens', {}, { 'x-api-key': key })
      assert.equal(reply.statusCode, 403)
      assert.equal(reply.json().error, 'cannot_mint_with_token')
    }
  })
})

describe('TURN', () => {
  const server = { urls: ['turn:turn.example.com:3478'], secret: 'north' }

  async function withTurn(): Promise<TestService> {
    const service = await fresh()
    await service.environments.update(service.made.environment.id, { turn: server })
    await service.follower.refresh()
    return service
  }

  it('credentials come with a channels token and end when it does', async () => {
    const { post } = await withTurn()
    const reply = await post('/v1/tokens', { peerId: 'alice', expiresInSec: 90, metadata: { mine: 1 } })
    const { metadata } = decodeJwt<{ metadata: { mine: number; iceServers: { username: string }[] } }>(
      reply.json().token,
    )
    assert.equal(metadata.mine, 1)
    assert.equal(metadata.iceServers[0]?.username, `${NOW + 90}:alice`)
  })

  it('credentials are not added where the caller brings its own', async () => {
    const { post } = await withTurn()
    const reply = await post('/v1/tokens', { peerId: 'alice', metadata: { iceServers: [] } })
    assert.deepEqual(decodeJwt(reply.json().token).metadata, { iceServers: [] })
  })

  it('credentials are given alone, limited and recorded like a token', async () => {
    const service = await withTurn()
    const headers = { authorization: `Bearer ${service.made.secretKey}` }
    const get = (query: string) => service.server.inject({ url: `/v1/turn/credentials?${query}`, headers })
    const reply = await get('subject=alice&ttlSeconds=600')
    assert.equal(reply.statusCode, 200)
    const { iceServers, expiresAt } = reply.json()
    assert.equal(expiresAt, NOW + 600)
    assert.equal(iceServers[0].username, `${NOW + 600}:alice`)
    assert.match(iceServers[0].credential, /^[A-Za-z0-9+/]{27}=$/)
    const line = service.records.find(({ format }) => format === 'turn')
    assert.deepEqual([line?.subject, line?.ttlSeconds, line?.granted], ['alice', 600, { urls: server.urls }])
    const written = JSON.stringify([service.lines, service.records])
    assert.equal(written.includes(iceServers[0].credential), false)
    for (let taken = 0; taken < 9; taken += 1) await get('subject=alice')
    assert.equal((await get('subject=alice')).statusCode, 429)
    for (const bad of [
      '',
      'subject=',
      'subject=a&ttlSeconds=0',
      'subject=a&ttlSeconds=1.5',
      'subject=a&x=1',
      'subject=a&subject=b',
    ]) {
      assert.equal((await get(bad)).json().error, 'body_invalid', bad)
    }
  })

  it('is not there for an environment without a server', async () => {
    const { server: app, made } = await fresh()
    const headers = { authorization: `Bearer ${made.secretKey}` }
    const reply = await app.inject({ url: '/v1/turn/credentials?subject=a', headers })
    assert.equal(reply.json().error, 'not_found')
  })
})

describe('the sandbox', () => {
  const form = (fields: Record<string, string>) => ({
    method: 'POST' as const,
    url: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://demo.example.com' },
    payload: new URLSearchParams(fields).toString(),
  })

  it('gives a browser a token as text for a form, and for JSON', async (t) => {
    const { server, made } = await build(t, { SANDBOX: 'true' })
    const fields = { apiKey: made.keyId, apiSecret: made.secretKey, groupId: 'g', peerId: 'p' }
    const reply = await server.inject(form(fields))
    assert.equal(reply.statusCode, 200)
    assert.match(String(reply.headers['content-type']), /^text\/plain/)
    assert.equal(reply.headers['access-control-allow-origin'], 'https://demo.example.com')
    const { ap, exp, iat } = decodeJwt(reply.body)
    assert.deepEqual(ap, { group_id: '*', peer_id: '*' })
    assert.equal(Number(exp) - Number(iat), 3_600)
    const json = await server.inject({ method: 'POST', url: '/token', payload: fields })
    assert.equal(decodeJwt(json.body).pid, 'p')
  })

  it('answers a browser’s preflight as the product does', async (t) => {
    const { server } = await build(t, { SANDBOX: 'true' })
    const headers = { origin: 'https://demo.example.com', 'access-control-request-method': 'POST' }
    const reply = await server.inject({ method: 'OPTIONS', url: '/token', headers })
    assert.equal(reply.statusCode, 204)
    assert.equal(
      reply.headers['access-control-allow-headers'],
      'content-type, accept-encoding, authorization',
    )
    assert.equal(reply.headers['access-control-max-age'], '86400')
  })

  it('refuses an id and a secret that do not belong together', async (t) => {
    const { server, made } = await build(t, { SANDBOX: 'true' })
    const fields = { apiKey: 'kid_0', apiSecret: made.secretKey, groupId: 'g', peerId: 'p' }
    assert.equal((await server.inject(form(fields))).json().error, 'key_unknown')
    const { apiKey, ...without } = fields
    assert.ok(apiKey)
    assert.equal((await server.inject(form({ ...without }))).json().issues[0].path, 'apiKey')
  })

  it('is not there unless it is asked for', async () => {
    const { server } = await fresh()
    assert.equal((await server.inject(form({}))).statusCode, 404)
  })
})

describe('a key that is limited', () => {
  it('mints what its grant holds, and names what is beyond', async (t) => {
    const { post, keyWith } = await build(t)
    const headers = await keyWith({ channels: ['room-*'], permissions: ['publish'], maxTtlSeconds: 600 })
    const admitted = await post('/v1/tokens', { peerId: 'a', channels: ['room-1'] }, headers)
    assert.equal(admitted.statusCode, 200)
    const refused = await post('/v1/tokens', { peerId: 'a', channels: ['room-1', 'admin-1'] }, headers)
    assert.equal(refused.statusCode, 403)
    assert.equal(refused.json().error, 'beyond_grant')
    assert.equal(refused.json().detail, 'channels: admin-1 is beyond this key, which allows room-*.')
    for (const beyond of [{ permissions: ['send'] }, { expiresInSec: 601 }, { exp: NOW + 611 }]) {
      assert.equal(
        (await post('/v1/tokens', { peerId: 'a', ...beyond }, headers)).json().error,
        'beyond_grant',
      )
    }
    // A refusal cost the subject nothing.
    assert.match(
      String((await post('/v1/tokens', { peerId: 'a' }, headers)).headers.ratelimit),
      /^"subject";r=8;/,
    )
  })

  it('never gives more for what is left out', async () => {
    const { post, keyWith } = await fresh()
    const headers = await keyWith({
      channels: ['room-*'],
      permissions: ['subscribe', 'send'],
      maxTtlSeconds: 30,
      models: ['m'],
    })
    const claims = decodeJwt((await post('/v1/tokens', { peerId: 'a' }, headers)).json().token)
    assert.deepEqual([claims.channels, claims.permissions], [['room-*'], ['subscribe', 'send']])
    assert.equal(Number(claims.exp) - NOW, 30)
    const client = decodeJwt((await post('/v1/client/tokens', {}, headers)).json().token)
    assert.deepEqual([client.models, Number(client.exp) - NOW], [['m'], 30])
    const user = decodeJwt((await post('/auth/token', { userId: 'a', name: 'A' }, headers)).json().token)
    assert.equal(Number(user.exp) - NOW, 30)
  })

  it('is limited in formats, uses and addresses', async (t) => {
    const { post, keyWith, server } = await build(t)
    const body = { peerId: 'a' }
    const formats = await keyWith({ formats: ['user'] })
    assert.match(
      (await post('/v1/tokens', body, formats)).json().detail,
      /^formats: channels is beyond this key/,
    )
    const uses = await keyWith({ uses: ['verify'] })
    const refused = await post('/v1/tokens', body, uses)
    assert.equal(refused.json().detail, 'uses: mint is beyond this key, which allows verify.')
    const addresses = await keyWith({ addresses: ['10.0.0.0/8'] })
    assert.equal((await post('/v1/tokens', body, addresses)).json().error, 'address_not_allowed')
    const inside = {
      method: 'POST' as const,
      url: '/v1/tokens',
      remoteAddress: '10.1.1.1',
      headers: addresses,
      payload: body,
    }
    assert.equal((await server.inject(inside)).statusCode, 200)
    const turn = await server.inject({ url: '/v1/turn/credentials?subject=a', headers: formats })
    assert.equal(turn.statusCode, 404)
  })

  it('is held to a grant that is changed while it is used', async () => {
    const { post, store, made, follower } = await fresh()
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).statusCode, 200)
    await store.change((changes) => changes.updateApiKey(made.keyId, { grant: { formats: [] } }))
    await follower.refresh()
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).json().error, 'beyond_grant')
  })
})

describe('the size of a token', () => {
  it('is at most 12,288 bytes; a larger one is refused with its largest claim, and costs nothing', async (t) => {
    const { post } = await build(t)
    const channels = Array.from({ length: 20 }, (_, index) => `${'x'.repeat(200)}${index}`)
    const refused = await post('/v1/tokens', { peerId: 'a', channels, metadata: { m: 'x'.repeat(8_000) } })
    assert.equal(refused.statusCode, 400)
    assert.equal(refused.json().error, 'token_too_large')
    assert.match(refused.json().detail, /largest claim is metadata with 8\d{3} bytes/)
    assert.match(String((await post('/v1/tokens', { peerId: 'a' })).headers.ratelimit), /^"subject";r=9;/)
  })

  it('is judged to the byte', async () => {
    const { post } = await fresh()
    const sizes: number[] = []
    for (let pad = 0; pad < 700; pad += 1) {
      const body = {
        peerId: `p${pad}`,
        metadata: { m: 'x'.repeat(8_100) },
        peerMetadata: { p: 'x'.repeat(200 + pad) },
      }
      const reply = await post('/v1/tokens', body)
      if (reply.statusCode !== 200) break
      sizes.push(reply.json().token.length)
    }
    const largest = sizes.at(-1) ?? 0
    assert.ok(largest <= 12_288 && largest > 12_284, `${largest}`)
  })

  it('is told to the log beyond 4,096 bytes, with how many there were', async (t) => {
    const { post, lines } = await build(t)
    for (let count = 0; count < 2; count += 1)
      await post('/v1/tokens', { peerId: 'a', metadata: { m: 'x'.repeat(4_000) } })
    await post('/v1/tokens', { peerId: 'a' })
    const large = lines.filter(({ msg }) => msg === 'token is large')
    assert.deepEqual(
      large.map(({ level, largeTokens }) => [level, largeTokens]),
      [
        ['warn', 1],
        ['warn', 2],
      ],
    )
  })
})
