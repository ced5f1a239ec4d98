import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { peer } from '../../src/formats/peer.ts'

const valid = { groupId: 'default', peerId: 'alice' }
const context = { environmentId: 'env_1', now: 1_000, expiresAt: 4_600, grant: {}, iceServer: undefined }

describe('a peer request', () => {
  const good: [string, object][] = [
    ['group and peer alone', valid],
    ['ids of 36 characters', { groupId: 'a'.repeat(36), peerId: 'A_-9'.repeat(9) }],
    ['a policy with a * in each part', { ...valid, allowPolicy: { groupId: 'g*', peerId: '*' } }],
    ['a policy with : . and @', { ...valid, allowPolicy: { groupId: 'chat:room-12', peerId: 'a.b@c' } }],
    ['the longest life', { ...valid, ttlSeconds: 86_400 }],
  ]
  for (const [what, body] of good) {
    it(`may have ${what}`, () => assert.equal(peer.request.safeParse(body).error, undefined))
  }

  const bad: [string, unknown, string][] = [
    ['no group', { peerId: 'a' }, 'groupId'],
    ['no peer', { groupId: 'a' }, 'peerId'],
    ['an empty id', { ...valid, peerId: '' }, 'peerId'],
    ['an id of 37 characters', { ...valid, peerId: 'a'.repeat(37) }, 'peerId'],
    ['an id with a colon', { ...valid, groupId: 'a:b' }, 'groupId'],
    ['an id that ends in a line feed', { ...valid, groupId: 'a\n' }, 'groupId'],
    ['two * in a part', { ...valid, allowPolicy: { groupId: '**', peerId: 'a' } }, 'allowPolicy'],
    [
      'a part of 37 characters',
      { ...valid, allowPolicy: { groupId: 'a', peerId: 'a'.repeat(37) } },
      'allowPolicy',
    ],
    ['an empty part', { ...valid, allowPolicy: { groupId: '', peerId: '*' } }, 'allowPolicy'],
    ['half a policy', { ...valid, allowPolicy: { groupId: 'a' } }, 'allowPolicy.peerId'],
    ['a policy as text', { ...valid, allowPolicy: 'a:b' }, 'allowPolicy'],
    ['a life of nothing', { ...valid, ttlSeconds: 0 }, 'ttlSeconds'],
    ['a life beyond the longest', { ...valid, ttlSeconds: 86_401 }, 'ttlSeconds'],
    ['a member that is not known', { ...valid, role: 'x' }, ''],
  ]
  for (const [what, body, path] of bad) {
    it(`may not have ${what}`, () => {
      assert.equal(peer.request.safeParse(body).error?.issues[0]?.path.join('.'), path)
    })
  }
})

describe('a peer token', () => {
  it('has the product’s claims in their order', () => {
    const asked = peer.request.parse({ ...valid, allowPolicy: { groupId: 'g*', peerId: '*' } })
    assert.equal(
      JSON.stringify(peer.claims(asked, context)),
      '{"exp":4600,"gid":"default","pid":"alice","ap":{"group_id":"g*","peer_id":"*"}}',
    )
  })

  it('permits nothing without a policy, and says null', () => {
    assert.equal(JSON.stringify(peer.claims(peer.request.parse(valid), context)).endsWith('"ap":null}'), true)
  })

  it('is for the peer within its group', () =>
    assert.equal(peer.subject(peer.request.parse(valid)), 'default:alice'))
})
