import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build } from '../helpers/app.ts'

describe('operations', () => {
  it('say that the process lives', async (t) => {
    const { server } = await build(t)
    const reply = await server.inject({ url: '/healthz' })
    assert.deepEqual([reply.statusCode, reply.json()], [200, { status: 'ok' }])
  })

  it('say that the process can mint, less well, or not at all', async (t) => {
    const { server, app, follower, seams } = await build(t, { STALE_KEYS_SECONDS: '3600' })
    const ready = async () => (await server.inject({ url: '/readyz' })).json()
    assert.deepEqual(await ready(), { status: 'ready', checks: { keys: 'fresh' } })
    seams.advance(1_001)
    assert.deepEqual(await ready(), { status: 'degraded', checks: { keys: 'behind' } })
    seams.advance(3_600_000)
    assert.equal((await ready()).error, 'store_unavailable')
    await follower.refresh()
    assert.equal((await ready()).status, 'ready')
    app.drain()
    assert.equal((await ready()).error, 'shutting_down')
  })

  it('close every connection that they answer while draining', async (t) => {
    const { app, post } = await build(t)
    assert.equal((await post('/v1/tokens', { peerId: 'a' })).headers.connection, 'keep-alive')
    app.drain()
    const reply = await post('/v1/tokens', { peerId: 'a' })
    assert.equal(reply.statusCode, 200)
    assert.equal(reply.headers.connection, 'close')
  })
})

const minting = ['/auth/token', '/v1/tokens', '/v1/client/tokens', '/v1/peer/tokens']

describe('the description of the API', () => {
  it('is OpenAPI made from what the routes check', async (t) => {
    const { server } = await build(t)
    const api = (await server.inject({ url: '/openapi.json' })).json()
    assert.equal(api.openapi, '3.1.0')
    const body = api.paths['/auth/token'].post.requestBody.content['application/json'].schema
    assert.deepEqual(body.required, ['userId', 'name'])
    assert.equal(body.additionalProperties, false)
    assert.equal(body.properties.userId.maxLength, 128)
    assert.ok(api.paths['/auth/token'].post.responses['4XX'].content['application/problem+json'])
    const jwks = '/environments/{id}/.well-known/jwks.json'
    for (const path of [
      '/healthz',
      '/readyz',
      jwks,
      ...minting,
      '/v1/turn/credentials',
      '/v1/environments',
    ]) {
      assert.ok(path in api.paths, path)
    }
    assert.equal('/token' in api.paths, false)
  })

  it('shows calls that work', async (t) => {
    const { server, post } = await build(t, { PUBLIC_URL: 'https://tokens.example.com' })
    const api = (await server.inject({ url: '/openapi.json' })).json()
    for (const path of minting) {
      const { description } = api.paths[path].post
      assert.match(description, new RegExp(`^\`\`\`sh\\ncurl https://tokens.example.com${path} `))
      const body = /-d '(.+)'/.exec(description)?.[1] ?? ''
      assert.equal((await post(path, body)).statusCode, 200)
    }
  })

  it('has a page that needs nothing from elsewhere', async (t) => {
    const { server } = await build(t)
    assert.equal((await server.inject({ url: '/docs' })).headers.location, '/docs/')
    const page = await server.inject({ url: '/docs/' })
    assert.equal(page.statusCode, 200)
    assert.doesNotMatch(String(page.headers['content-security-policy']), /upgrade-insecure|validator/)
    const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    assert.ok(files.length > 3)
    for (const file of files) {
      const url = new URL(file, 'http://localhost/docs/')
      assert.equal(url.host, 'localhost')
      assert.equal((await server.inject({ url: url.pathname })).statusCode, 200, file)
    }
  })

  it('is not there at paths that lead nowhere, in the same words as elsewhere', async (t) => {
    const { server } = await build(t)
    for (const path of ['nothing', '%00', '..%00', '%5c..%5c', '..%2f..%2fpackage.json']) {
      const reply = await server.inject({ url: `/docs/static/${path}` })
      assert.deepEqual([reply.statusCode, reply.json().error], [404, 'not_found'], path)
    }
  })

  it('is there as YAML too, beside the page', async (t) => {
    const { server } = await build(t)
    const described = (await server.inject({ url: '/openapi.json' })).json()
    assert.deepEqual((await server.inject({ url: '/docs/json' })).json(), described)
    const yaml = await server.inject({ url: '/docs/yaml' })
    assert.equal(yaml.statusCode, 200)
    assert.match(String(yaml.headers['content-type']), /^application\/x-yaml/)
    assert.match(yaml.body, /^openapi: 3\.1\.0\n/)
  })

  it('may be read by the origins that are configured, and no others', async (t) => {
    const { server } = await build(t, { CORS_ORIGINS: 'https://docs.example.com' })
    const allowed = async (origin: string) =>
      (await server.inject({ url: '/openapi.json', headers: { origin } })).headers[
        'access-control-allow-origin'
      ]
    assert.equal(await allowed('https://docs.example.com'), 'https://docs.example.com')
    assert.equal(await allowed('https://evil.example.com'), undefined)
  })
})
