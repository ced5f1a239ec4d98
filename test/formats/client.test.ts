import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { originFault } from '../../src/domain/origin.ts'
import { client } from '../../src/formats/client.ts'

const context = { environmentId: 'env_1', now: 1_000, expiresAt: 1_060, grant: {}, iceServer: undefined }
const ofBytes = (bytes: number) => ({ a: 'x'.repeat(bytes - 8) })

describe('a client request', () => {
  const nothing = {
    expiresIn: null,
    allowedModels: null,
    allowedOrigins: null,
    constraints: null,
    metadata: null,
    userId: null,
  }
  const good: [string, object][] = [
    ['nothing', {}],
    ['null for everything', nothing],
    ['the longest life', { expiresIn: 3_600 }],
    ['20 models', { allowedModels: Array(20).fill('a') }],
    ['no models', { allowedModels: [] }],
    ['20 origins', { allowedOrigins: Array(20).fill('https://x') }],
    ['the shortest session', { constraints: { realtime: { maxSessionDuration: 10 } } }],
    ['constraints of nothing', { constraints: { realtime: null } }],
    ['4,096 bytes of metadata', { metadata: ofBytes(4_096) }],
    ['a user', { userId: 'alice' }],
  ]
  for (const [what, body] of good) {
    it(`may have ${what}`, () => assert.equal(client.request.safeParse(body).error, undefined))
  }

  const bad: [string, unknown, string][] = [
    ['a life of nothing', { expiresIn: 0 }, 'expiresIn'],
    ['a life beyond the longest', { expiresIn: 3_601 }, 'expiresIn'],
    ['21 models', { allowedModels: Array(21).fill('a') }, 'allowedModels'],
    ['a model that is no text', { allowedModels: [1] }, 'allowedModels.0'],
    ['21 origins', { allowedOrigins: Array(21).fill('https://x') }, 'allowedOrigins'],
    ['an origin with a slash', { allowedOrigins: ['https://x/'] }, 'allowedOrigins.0'],
    [
      'a session of 9 s',
      { constraints: { realtime: { maxSessionDuration: 9 } } },
      'constraints.realtime.maxSessionDuration',
    ],
    ['an unknown constraint', { constraints: { batch: {} } }, 'constraints'],
    ['4,097 bytes of metadata', { metadata: ofBytes(4_097) }, 'metadata'],
    ['metadata that is a list', { metadata: [] }, 'metadata'],
    ['a user that looks like a key', { userId: 'kid_1' }, 'userId'],
    ['a member that is not known', { role: 'x' }, ''],
  ]
  for (const [what, body, path] of bad) {
    it(`may not have ${what}`, () => {
      assert.equal(client.request.safeParse(body).error?.issues[0]?.path.join('.'), path)
    })
  }
})

describe('a client token', () => {
  const claims = (body: object, grant = {}) =>
    client.claims(client.request.parse(body), { ...context, grant })

  it('holds what was asked for, and nothing that was not', () => {
    const constraints = { realtime: { maxSessionDuration: 120 } }
    assert.deepEqual(
      claims({ allowedModels: ['a'], allowedOrigins: ['https://x'], constraints, metadata: { r: 1 } }),
      {
        models: ['a'],
        origins: ['https://x'],
        constraints,
        metadata: { r: 1 },
      },
    )
    assert.deepEqual(claims({}), {})
  })

  it('holds what its key is limited to when nothing was asked for', () => {
    assert.deepEqual(claims({}, { models: ['m1'], origins: [] }), { models: ['m1'], origins: [] })
    assert.deepEqual(claims({ allowedModels: [] }, { models: ['m1'] }), { models: [] })
  })
})

describe('an origin', () => {
  for (const text of [
    'https://x',
    'http://localhost:5173',
    'https://app.example.com:8443',
    'http://[::1]:3000',
  ]) {
    it(`may be ${text}`, () => assert.equal(originFault(text), undefined))
  }
  const refused = [
    'https://x/',
    'https://X',
    'https://x:443',
    'x.com',
    'ftp://x',
    'null',
    '*',
    'https://*.x',
    'https://a@x',
    '',
  ]
  for (const text of refused) {
    it(`may not be ${JSON.stringify(text)}`, () => assert.notEqual(originFault(text), undefined))
  }
})
