import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { verifyChanges } from '../../src/journal/verify-changes.ts'
import { readSqliteRecords } from '../../src/store/read-records.ts'
import { ADMIN } from '../helpers/admin.ts'
import { build, type TestService } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'

const TURN_SECRET = 'canary-of-a-turn-server'
const SIGNING_SECRET = 'canary-of-a-signing-key-that-is-long-enough'

/** A service, and what is recorded of the changes that it makes. */
async function setup(t: TestContext) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const service = await build(t, { ADMIN_KEY: ADMIN }, path)
  const found = await readSqliteRecords(path, (error) => error)
  assert.ok(found !== undefined)
  const call = async (method: string, url: string, body: object | undefined, more = {}) => {
    const headers = { authorization: `Bearer ${ADMIN}`, 'x-request-id': 'asked', ...more }
    const reply = await service.server.inject({
      method: method === 'PATCH' ? 'PATCH' : 'POST',
      url,
      headers,
      ...(body === undefined ? {} : { payload: body }),
    })
    assert.ok(reply.statusCode < 300, `${method} ${url}: ${reply.body}`)
    return reply.body === '' ? undefined : reply.json()
  }
  const last = async () => {
    const [record] = await found.last(1)
    assert.ok(record !== undefined)
    const { at, prev: _, n, v: __, type: ___, revision: ____, changes, ...by } = JSON.parse(record.line)
    const whats: string[] = changes.map(({ what }: { what: string }) => what)
    return { at, n, by, changes, whats }
  }
  const all = async () => await Array.fromAsync(found.after(0))
  return { ...service, found, call, last, all, id: service.made.environment.id }
}

/** Makes a key to be changed. */
async function newKey({ keyLives, follower }: TestService, environmentId: string): Promise<string> {
  const { row } = await keyLives.create(environmentId, { kind: 'secret' })
  await follower.refresh()
  return row.id
}

/** Every call of the admin key that changes something: its path as the API's description has it, a body, what is recorded. */
const calls: [route: string, body: object | undefined, whats: string[]][] = [
  [
    'POST /v1/environments',
    { name: 'Other' },
    [
      'environment created',
      'secret key created',
      'publishable key created',
      'signing key created',
      'signing key created',
    ],
  ],
  [
    'PATCH /v1/environments/{id}',
    { turn: { urls: ['turn:a'], secret: TURN_SECRET } },
    ['environment changed'],
  ],
  ['POST /v1/environments/{id}/archive', undefined, ['environment archived']],
  ['POST /v1/environments/{id}/restore', undefined, ['environment restored']],
  ['POST /v1/environments/{id}/keys', { kind: 'secret', localSigning: true }, ['secret key created']],
  [
    'POST /v1/environments/{id}/keys/rotate',
    undefined,
    [
      'secret key created',
      'secret key rotated, revoked',
      'publishable key created',
      'publishable key rotated, revoked',
    ],
  ],
  ['PATCH /v1/keys/{id}', { name: 'CI' }, ['secret key changed']],
  ['POST /v1/keys/{id}/rotate', { graceSeconds: 60 }, ['secret key created', 'secret key rotated']],
  ['POST /v1/keys/{id}/revoke', { tokens: true }, ['tokens of a key revoked', 'secret key revoked']],
  ['POST /v1/keys/{id}/report-leak', undefined, ['secret key revoked, exposed']],
  [
    'POST /v1/environments/{id}/signing-keys/import',
    { kid: 'imported', format: 'user', secret: SIGNING_SECRET },
    ['signing key imported'],
  ],
  [
    'POST /v1/environments/{id}/signing-keys/rotate',
    {},
    ['signing key created', 'signing key changed', 'signing key created', 'signing key changed'],
  ],
  [
    'POST /v1/environments/{id}/signing-keys/roll-back',
    { algorithm: 'EdDSA' },
    ['signing key changed', 'signing key changed'],
  ],
]

describe('a change with the admin key', () => {
  it('has one record, whichever call made it, which names the request and holds no secret', async (t) => {
    const service = await setup(t)
    const { call, last, all, id, found, seams, made } = service
    const secrets = [ADMIN, made.secretKey, TURN_SECRET, SIGNING_SECRET]
    const seen: string[] = []
    for (const [route, body, whats] of calls) {
      const [method = '', path = ''] = route.split(' ')
      const about = path.startsWith('/v1/keys') ? await newKey(service, id) : id
      const before = await last()
      seams.advance(1_000)
      const answer = await call(method, path.replace('{id}', about), body)
      for (const name of ['secretKey', 'publishableKey']) {
        if (typeof answer?.[name] === 'string') secrets.push(answer[name])
      }
      const record = await last()
      assert.deepEqual([record.n, record.whats], [before.n + 1, whats], route)
      assert.deepEqual(record.by, { by: 'admin key', requestId: 'asked', address: '127.0.0.1' })
      assert.equal(record.at, new Date(seams.now()).toISOString())
      seen.push(route)
    }
    const text = (await all()).map(({ line }) => line).join('\n')
    for (const secret of secrets) assert.ok(!text.includes(secret), secret)
    assert.doesNotMatch(text, /\b(?:sk|ak)_|eyJ/)
    assert.equal((await verifyChanges(found, [])).broken, undefined)
    assert.deepEqual(seen.sort(), (await changingRoutes(service)).sort())
  })

  it('has no second record when it comes again, nor one when it is refused', async (t) => {
    const { call, last, id, server } = await setup(t)
    const path = `/v1/environments/${id}/keys`
    const twice = { 'idempotency-key': 'once' }
    await call('POST', path, { kind: 'secret' }, twice)
    const { n } = await last()
    await call('POST', path, { kind: 'secret' }, twice)
    const headers = { authorization: `Bearer ${ADMIN}` }
    const refused = await server.inject({
      method: 'POST',
      url: '/v1/environments',
      headers,
      payload: { name: 'Test' },
    })
    assert.equal(refused.statusCode, 409)
    assert.equal((await last()).n, n)
  })
})

describe('a change with a secret key', () => {
  it('names the key whose holder revoked tokens, and what it revoked', async (t) => {
    const { call, last, id, made, post, found } = await setup(t)
    const { token } = (await post('/auth/token', { userId: 'alice', name: 'Alice' })).json()
    const own = { authorization: `Bearer ${made.secretKey}` }
    await call('POST', '/v1/revocations', { subject: 'bob' }, own)
    const { by, changes } = await last()
    assert.deepEqual(by, { by: 'secret key', keyId: made.keyId, requestId: 'asked', address: '127.0.0.1' })
    assert.deepEqual(
      changes.map(({ set: _, ...change }: { set: object }) => change),
      [{ what: 'tokens of a subject revoked', environmentId: id, subject: 'bob' }],
    )
    const form = { ...own, 'content-type': 'application/x-www-form-urlencoded' }
    await post('/v1/revoke', `token=${token}`, form)
    const revoked = await last()
    assert.deepEqual([revoked.by.keyId, revoked.whats], [made.keyId, ['token revoked']])
    const asked = await Array.fromAsync(found.find({ jti: revoked.changes[0].jti }))
    assert.equal(asked.length, 1)
    await call('POST', '/v1/revocations', { subject: 'bob', environmentId: id })
    assert.equal((await last()).by.by, 'admin key')
  })

  it('is the server’s own when a browser shows it the key', async (t) => {
    const { server, last, made, keyring, all } = await setup(t)
    const headers = {
      authorization: `Bearer ${made.secretKey}`,
      origin: 'https://a.example',
      'x-request-id': 'seen',
    }
    await server.inject({ method: 'POST', url: '/auth/token', headers, payload: {} })
    // Nobody waits for it: another change is behind it.
    const key = [...keyring.livingKeys()].find(({ id }) => id === made.keyId)
    assert.ok(key !== undefined)
    await keyring.flagExposed(key)
    const { by, whats } = await last()
    assert.deepEqual(
      [by, whats],
      [{ by: 'server', requestId: 'seen', address: '127.0.0.1' }, ['secret key exposed']],
    )
    assert.equal((await all()).filter(({ line }) => line.includes('exposed')).length, 1)
  })
})

describe('the end of the chain of changes', () => {
  it('is told to the log and to /metrics', async (t) => {
    const { call, server, lines, id, found } = await setup(t)
    const [told] = lines.filter(({ msg, instance }) => msg === 'journal head' && instance === 'database')
    const [first] = await found.last(1)
    assert.deepEqual([told?.sha256, told?.n, told?.revision], [first?.sha256, first?.n, first?.revision])
    await call('PATCH', `/v1/environments/${id}`, { name: 'Other' })
    const [head] = await found.last(1)
    const metrics = await server.inject({ url: '/metrics', headers: { authorization: `Bearer ${ADMIN}` } })
    assert.match(metrics.body, new RegExp(`^jeton_changes_head_info\\{sha256="${head?.sha256}"\\} 1$`, 'm'))
    assert.match(metrics.body, new RegExp(`^jeton_changes_head_revision ${head?.revision}$`, 'm'))
    assert.equal(metrics.body.match(/^jeton_changes_head_info/gm)?.length, 1)
  })
})

// As the API describes itself, so that a new call is missed here.
async function changingRoutes({ server }: TestService): Promise<string[]> {
  const { paths } = (await server.inject({ url: '/openapi.json' })).json()
  return Object.entries<Record<string, { security?: object[] }>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method, { security = [] }]) => method !== 'get' && security.some((one) => 'adminKey' in one))
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  )
}
