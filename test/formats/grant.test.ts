import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grantSchema } from '../../src/formats/grant.ts'

describe('a grant as it is written', () => {
  it('may have every member', () => {
    const grant = {
      uses: ['mint', 'verify', 'revoke'],
      formats: ['user', 'channels', 'client', 'peer'],
      channels: ['room-*', '**'],
      permissions: ['publish', 'subscribe', 'presence', 'send'],
      policies: [{ groupId: 'g*', peerId: '*' }],
      models: ['m1'],
      origins: ['https://x', 'http://localhost:5173'],
      maxTtlSeconds: 600,
      addresses: ['10.0.0.0/8', '::1'],
    }
    assert.deepEqual(grantSchema.parse(grant), grant)
    assert.deepEqual(grantSchema.parse({}), {})
  })

  const bad: [string, unknown, string][] = [
    ['an unknown member', { channel: [] }, ''],
    ['an unknown use', { uses: ['read'] }, 'uses.0'],
    ['an unknown format', { formats: ['jwt'] }, 'formats.0'],
    ['21 channels', { channels: Array(21).fill('a') }, 'channels'],
    ['a bad pattern', { channels: ['a\\b'] }, 'channels.0'],
    ['a reserved pattern', { channels: ['_system/**'] }, 'channels.0'],
    ['21 policies', { policies: Array(21).fill({ groupId: 'a', peerId: 'b' }) }, 'policies'],
    ['a bad policy', { policies: [{ groupId: '**', peerId: 'b' }] }, 'policies.0'],
    ['half a policy', { policies: [{ groupId: 'a' }] }, 'policies.0.peerId'],
    ['an unknown permission', { permissions: ['admin'] }, 'permissions.0'],
    ['an empty model', { models: [''] }, 'models.0'],
    ['an origin with a path', { origins: ['https://x/'] }, 'origins.0'],
    ['a life of nothing', { maxTtlSeconds: 0 }, 'maxTtlSeconds'],
    ['a life beyond any format’s', { maxTtlSeconds: 86_401 }, 'maxTtlSeconds'],
    ['no address', { addresses: ['localhost'] }, 'addresses.0'],
    ['a range too wide', { addresses: ['10.0.0.0/33'] }, 'addresses.0'],
    ['null', { channels: null }, 'channels'],
    ['no object', [], ''],
  ]
  for (const [what, grant, path] of bad) {
    it(`may not have ${what}`, () => {
      assert.equal(grantSchema.safeParse(grant).error?.issues[0]?.path.join('.'), path)
    })
  }
})
