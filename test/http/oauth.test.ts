import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import {
  allowInsecureRequests,
  type Client,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  introspectionRequest,
  processIntrospectionResponse,
  processRevocationResponse,
  revocationRequest,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi'
import { build, buildShared, type TestService } from '../helpers/app.ts'
import { FORMAT_NAMES, makeLocalKey, mintToken, partsOf, signToken } from '../helpers/tokens.ts'

const fresh = buildShared()

const FORM = 'application/x-www-form-urlencoded'
const INACTIVE = '{"active":false}'

function send(
  { server, made }: TestService,
  url: string,
  payload: string,
  headers: Record<string, string> = {},
) {
  const authorization = `Bearer ${made.secretKey}`
  return server.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': FORM, authorization, ...headers },
  })
}

const introspect = (service: TestService, token: string) =>
  send(service, '/v1/introspect', new URLSearchParams({ token }).toString())
const revoke = (service: TestService, token: string) =>
  send(service, '/v1/revoke', new URLSearchParams({ token }).toString())

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

describe('POST /v1/introspect', () => {
  it('tells of a living token what RFC 7662 §2.2 names, and its own claims', async () => {
    const service = await fresh()
    for (const format of FORMAT_NAMES) {
      const token = await mintToken(service, format)
      const { claims } = partsOf(token)
      const reply = await introspect(service, token)
      assert.equal(reply.statusCode, 200)
      assert.equal(reply.headers['cache-control'], 'no-store')
      assert.match(String(reply.headers['content-type']), /^application\/json/)
      assert.deepEqual(reply.json(), { ...claims, active: true, token_type: 'Bearer' })
      assert.equal(reply.json().client_id, service.made.keyId)
    }
  })

  it('reads a client token as it is handed out, and says the key where it is for nobody', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client', { userId: null })
    const reply = (await introspect(service, `ek_${token}`)).json()
    assert.deepEqual([reply.active, reply.sub], [true, service.made.keyId])
  })

  it('names a token that a backend signed without a jti by its digest, under which it can be revoked', async () => {
    const service = await fresh()
    const { id, text } = await makeLocalKey(service)
    const iat = service.seams.now() / 1000
    const own = {
      sub: 'alice',
      iat,
      exp: iat + 60,
      channels: ['a'],
      permissions: [],
      active: false,
      scope: 's',
    }
    const token = signToken({ alg: 'HS256', kid: id }, own, text)
    const { jti, ...reply } = (await introspect(service, token)).json()
    assert.deepEqual(reply, { ...own, active: true, client_id: id, token_type: 'Bearer' })
    assert.equal((await service.post('/v1/revocations', { jti })).statusCode, 200)
    assert.equal((await introspect(service, token)).body, INACTIVE)
  })

  it('answers the same bytes whatever the reason that a token is not active', async (t) => {
    const service = await build(t)
    const living = await mintToken(service, 'channels')
    const revoked = await mintToken(service, 'channels')
    await revoke(service, revoked)
    const expired = await mintToken(service, 'client', { expiresIn: 1 })
    service.seams.advance(11_000)
    await service.follower.refresh()
    const another = await service.environments.create('Another')
    await service.follower.refresh()
    const foreign = await mintToken(service, 'channels', {}, { 'x-api-key': another.secretKey })
    const { header, claims } = partsOf(living)
    const tokens = {
      revoked,
      expired,
      foreign,
      forged: signToken(header, claims, 'another secret'),
      unknown: signToken({ ...header, kid: 'sig_0' }, claims, 'secret'),
      none: `${living.slice(0, living.lastIndexOf('.'))}.`,
      cut: living.slice(0, -1),
      text: 'hello',
      space: ' ',
      bytes: '\u0000\uffff\ud83d',
      long: 'x'.repeat(1_000_000),
      secretKey: service.made.secretKey,
      publishableKey: service.made.publishableKey,
    }
    for (const [what, token] of Object.entries(tokens)) {
      const reply = await introspect(service, token)
      assert.deepEqual([reply.statusCode, reply.body], [200, INACTIVE], what)
    }
    assert.equal((await introspect(service, living)).json().active, true)
    await service.environments.update(service.made.environment.id, { archived: true })
    await service.follower.refresh()
    assert.equal((await introspect(service, living)).body, INACTIVE, 'archived')
  })
})

describe('POST /v1/revoke', () => {
  it('ends a token of every format, once and for all, and says 200 as often as it is asked', async () => {
    const service = await fresh()
    for (const format of FORMAT_NAMES) {
      const token = await mintToken(service, format)
      const other = await mintToken(service, format)
      for (let time = 0; time < 2; time += 1) {
        const reply = await revoke(service, format === 'client' ? `ek_${token}` : token)
        assert.deepEqual([reply.statusCode, reply.body], [200, ''])
        assert.equal((await introspect(service, token)).body, INACTIVE)
      }
      assert.equal((await introspect(service, other)).json().active, true)
    }
  })

  it('says 200 for what it does not know, and changes nothing', async () => {
    const service = await fresh()
    const another = await service.environments.create('Another')
    await service.follower.refresh()
    const headers = { 'x-api-key': another.secretKey }
    const foreign = await mintToken(service, 'channels', {}, headers)
    const revision = service.follower.revision()
    for (const token of [foreign, 'hello', 'x'.repeat(10_000)]) {
      assert.equal((await revoke(service, token)).statusCode, 200)
    }
    assert.equal(service.follower.revision(), revision)
    const authorization = `Bearer ${another.secretKey}`
    const reply = await send(service, '/v1/introspect', `token=${foreign}`, { authorization })
    assert.equal(reply.json().active, true)
  })
})

for (const url of ['/v1/introspect', '/v1/revoke']) {
  describe(`${url}, as OAuth has it,`, () => {
    const forms: [what: string, payload: string, headers: Record<string, string>, status: number][] = [
      ['no token', 'token_type_hint=access_token', {}, 400],
      ['nothing', '', {}, 400],
      ['an empty token, which counts as none (RFC 6749 §3.2)', 'token=', {}, 400],
      ['a token twice', 'token=a&token=a', {}, 400],
      ['a hint twice', 'token=a&token_type_hint=b&token_type_hint=c', {}, 400],
      ['a token in brackets', 'token[]=a', {}, 400],
      ['JSON', '{"token":"a"}', { 'content-type': 'application/json' }, 415],
      ['a text', 'token=a', { 'content-type': 'text/plain' }, 415],
      ['a multipart form', '--x--', { 'content-type': 'multipart/form-data; boundary=x' }, 415],
    ]
    for (const [what, payload, headers, status] of forms) {
      it(`refuses ${what} with ${status} and invalid_request`, async () => {
        const service = await fresh()
        const reply = await send(service, url, payload, headers)
        assert.equal(reply.statusCode, status)
        assert.match(String(reply.headers['content-type']), /^application\/json/)
        assert.equal(reply.headers['cache-control'], 'no-store')
        const { error, error_description, code } = reply.json()
        assert.equal(error, 'invalid_request')
        assert.equal(code, status === 415 ? 'media_type_unsupported' : 'body_invalid')
        // RFC 6749 §5.2: what may stand in a description.
        assert.match(error_description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/)
        if (status === 415) assert.match(error_description, /application\/x-www-form-urlencoded/)
      })
    }

    const taken: [string, string, string?][] = [
      ['an unknown member', '&resource=https://x'],
      ['an unknown member twice', '&a=1&a=2'],
      ['an unknown hint', '&token_type_hint=anything'],
      ['an empty hint', '&token_type_hint='],
      ['a prototype', '&__proto__=x&constructor=y'],
      ['a broken escape', '&x=%FF%'],
      ['a charset', '', `${FORM}; charset=UTF-8`],
      ['a media type in capitals', '', FORM.toUpperCase()],
    ]
    for (const [what, more, contentType = FORM] of taken) {
      it(`takes ${what}`, async () => {
        const service = await fresh()
        const token = await mintToken(service, 'channels')
        const reply = await send(service, url, `token=${token}${more}`, { 'content-type': contentType })
        assert.equal(reply.statusCode, 200)
        assert.equal(reply.body, url === '/v1/revoke' ? '' : reply.body)
        if (url === '/v1/introspect') assert.equal(reply.json().active, true)
        else assert.equal((await introspect(service, token)).body, INACTIVE)
      })
    }

    const callers: [string, (service: TestService) => Record<string, string>][] = [
      ['Bearer and the secret', ({ made }) => ({ authorization: `Bearer ${made.secretKey}` })],
      ['Bearer, id and secret', ({ made }) => ({ authorization: `Bearer ${made.keyId}:${made.secretKey}` })],
      ['Basic', ({ made }) => ({ authorization: basic(made.keyId, made.secretKey) })],
      [
        'Basic, written as in a form (RFC 6749 §2.3.1)',
        ({ made }) => ({
          authorization: basic(made.keyId.replace('_', '%5F'), made.secretKey.replaceAll('_', '%5f')),
        }),
      ],
      ['X-API-KEY', ({ made }) => ({ authorization: '', 'x-api-key': made.secretKey })],
    ]
    for (const [what, headers] of callers) {
      it(`lets a caller in by ${what}`, async () => {
        const service = await fresh()
        const token = await mintToken(service, 'channels')
        const reply = await send(service, url, `token=${token}`, headers(service))
        assert.equal(reply.statusCode, 200)
      })
    }

    const strangers: [string, (service: TestService) => string, scheme: string][] = [
      ['no credentials', () => '', 'Bearer'],
      ['an unknown scheme', () => 'Digest x', 'Bearer'],
      ['a Bearer that is no key', () => 'Bearer x', 'Bearer'],
      ['Basic that is no key', () => basic('a', 'b'), 'Basic'],
      ['Basic that is no base64', () => 'Basic !', 'Basic'],
      ['Basic without a colon', () => `Basic ${btoa('a')}`, 'Basic'],
      ['Basic with a broken escape', () => basic('%', '%zz'), 'Basic'],
      ['Basic with another key’s id', ({ made }) => basic('kid_0', made.secretKey), 'Basic'],
    ]
    for (const [what, authorization, scheme] of strangers) {
      it(`answers ${what} with invalid_client and a challenge of ${scheme}`, async () => {
        const service = await fresh()
        const reply = await send(service, url, 'token=a', { authorization: authorization(service) })
        assert.equal(reply.statusCode, 401)
        assert.equal(reply.json().error, 'invalid_client')
        assert.equal(reply.headers['www-authenticate'], `${scheme} realm="jeton"`)
      })
    }

    it('refuses a GET, which would put a token into logs', async () => {
      const { server, made } = await fresh()
      const headers = { authorization: `Bearer ${made.secretKey}` }
      assert.equal((await server.inject({ url: `${url}?token=a`, headers })).statusCode, 404)
    })
  })
}

describe('oauth4webapi, as it comes from npm,', () => {
  async function authorizationServer(t: TestContext) {
    const service = await build(t)
    const issuer = await service.server.listen({ host: '127.0.0.1', port: 0 })
    const as = {
      issuer,
      introspection_endpoint: `${issuer}/v1/introspect`,
      revocation_endpoint: `${issuer}/v1/revoke`,
    }
    const client: Client = { client_id: service.made.keyId }
    return { ...service, service, as, client, insecure: { [allowInsecureRequests]: true } }
  }

  it('introspects and revokes with HTTP Basic', async (t) => {
    const { service, as, client, insecure, made } = await authorizationServer(t)
    const token = await mintToken(service, 'channels')
    const auth: ClientAuth = ClientSecretBasic(made.secretKey)
    const look = async () =>
      processIntrospectionResponse(as, client, await introspectionRequest(as, client, auth, token, insecure))
    const { claims } = partsOf(token)
    assert.deepEqual(await look(), { ...claims, active: true, token_type: 'Bearer' })
    await processRevocationResponse(await revocationRequest(as, client, auth, token, insecure))
    assert.deepEqual(await look(), { active: false })
    await processRevocationResponse(await revocationRequest(as, client, auth, token, insecure))
  })

  it('introspects and revokes with Bearer and the secret key', async (t) => {
    const { service, as, client, made } = await authorizationServer(t)
    const token = await mintToken(service, 'peer')
    const auth: ClientAuth = (_as, _client, _body, headers) => {
      headers.set('authorization', `Bearer ${made.secretKey}`)
    }
    const options = {
      [allowInsecureRequests]: true,
      additionalParameters: { token_type_hint: 'access_token' },
    }
    const look = async () =>
      processIntrospectionResponse(as, client, await introspectionRequest(as, client, auth, token, options))
    assert.equal((await look()).active, true)
    await processRevocationResponse(await revocationRequest(as, client, auth, token, options))
    assert.deepEqual(await look(), { active: false })
  })

  it('understands the refusal of a client that it does not know', async (t) => {
    const { as, client, insecure } = await authorizationServer(t)
    const attempts = [
      [ClientSecretBasic('sk_live_0'), 'basic'],
      // Not taken, as RFC 6749 §2.3.1 leaves it open: a secret in a body is a secret in logs.
      [ClientSecretPost('sk_live_0'), 'bearer'],
    ] as const
    for (const [auth, scheme] of attempts) {
      const reply = await revocationRequest(as, client, auth, 'a', insecure)
      await assert.rejects(processRevocationResponse(reply), (error) => {
        assert.ok(error instanceof WWWAuthenticateChallengeError)
        assert.deepEqual([error.status, error.cause[0]?.scheme], [401, scheme])
        return true
      })
    }
  })

  it('ends a token that is refused for now and could be let in later', async () => {
    const { post, server, made, environments, follower } = await fresh()
    const { token } = (await post('/v1/tokens', { peerId: 'alice' })).json()
    const archive = async (archived: boolean) => {
      await environments.update(made.environment.id, { archived })
      await follower.refresh()
    }
    await archive(true)
    const headers = {
      authorization: `Bearer ${made.secretKey}`,
      'content-type': 'application/x-www-form-urlencoded',
    }
    const reply = await server.inject({
      method: 'POST',
      url: '/v1/revoke',
      headers,
      payload: `token=${token}`,
    })
    assert.equal(reply.statusCode, 200)
    await archive(false)
    assert.equal((await post('/v1/verify', { token })).json().code, 'token_revoked')
  })
})
