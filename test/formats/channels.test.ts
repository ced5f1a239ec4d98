import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { channels } from '../../src/formats/channels.ts'

const NOW = 1_800_000_000
const context = {
  environmentId: 'env_0000000000000000',
  now: NOW,
  expiresAt: NOW + 3_600,
  grant: {},
  iceServer: undefined,
}
const valid = { peerId: 'alice' }

/** An object that is `bytes` long as JSON. */
function ofBytes(bytes: number): object {
  return { a: 'x'.repeat(bytes - '{"a":""}'.length) }
}

function nested(levels: number): unknown {
  return levels === 0 ? 1 : { a: nested(levels - 1) }
}

function ice(entry: unknown): object {
  return { ...valid, metadata: { iceServers: [entry] } }
}

describe('a channels request', () => {
  const good: [string, object][] = [
    ['a peer alone', valid],
    ['the older spelling of the peer', { sub: 'alice' }],
    ['every printable ASCII character in its peer', { peerId: `a${'~ !"#$'}b` }],
    ['100 channels', { ...valid, channels: Array.from({ length: 100 }, (_, i) => `room-${i}`) }],
    ['no channels', { ...valid, channels: [] }],
    ['a pattern wider than what is reserved', { ...valid, channels: ['**', '_*/**', '*/x'] }],
    ['all permissions', { ...valid, permissions: ['publish', 'subscribe', 'presence', 'send'] }],
    ['the shortest life', { ...valid, expiresInSec: 1 }],
    ['the longest life', { ...valid, expiresInSec: 86_400 }],
    ['8,192 bytes of metadata', { ...valid, metadata: ofBytes(8_192) }],
    ['4,096 bytes of peer metadata', { ...valid, peerMetadata: ofBytes(4_096) }],
    ['metadata of 32 levels', { ...valid, metadata: nested(32) }],
    ['no ICE servers', { ...valid, metadata: { iceServers: [] } }],
    ['a STUN server', ice({ urls: 'stun:stun.example.com:3478' })],
    [
      'a TURN server with a list',
      ice({ urls: ['turn:a', 'turns:b?transport=tcp'], username: 'u', credential: 'c' }),
    ],
    ['an ICE server with members of the browser’s own', ice({ urls: 'stun:a', credentialType: 'password' })],
    ['16 ICE servers', { ...valid, metadata: { iceServers: Array(16).fill({ urls: 'stun:a' }) } }],
  ]
  for (const [what, body] of good) {
    it(`may have ${what}`, () => assert.equal(channels.request.safeParse(body).error, undefined))
  }

  const bad: [string, unknown, string][] = [
    ['no peer', {}, 'peerId'],
    ['two peers', { peerId: 'a', sub: 'a' }, 'peerId'],
    ['an empty peer', { peerId: '' }, 'peerId'],
    ['129 characters of peer', { peerId: 'x'.repeat(129) }, 'peerId'],
    ['a peer beyond ASCII', { peerId: 'zoë' }, 'peerId'],
    ['a peer with a space at its end', { peerId: 'bob ' }, 'peerId'],
    ['101 channels', { ...valid, channels: Array(101).fill('a') }, 'channels'],
    ['a channel that is no text', { ...valid, channels: ['a', 1] }, 'channels.1'],
    ['an empty channel', { ...valid, channels: [''] }, 'channels.0'],
    ['a channel of 257 bytes', { ...valid, channels: [`${'é'.repeat(128)}x`] }, 'channels.0'],
    ['a channel with 9 wildcards', { ...valid, channels: ['*/'.repeat(9)] }, 'channels.0'],
    ['a channel with a control character', { ...valid, channels: ['a\tb'] }, 'channels.0'],
    ['a stray backslash in a channel', { ...valid, channels: ['a\\b'] }, 'channels.0'],
    ['an unknown permission', { ...valid, permissions: ['publish', 'admin'] }, 'permissions.1'],
    ['a permission twice', { ...valid, permissions: ['send', 'send'] }, 'permissions'],
    ['a life of nothing', { ...valid, expiresInSec: 0 }, 'expiresInSec'],
    ['a life beyond the longest', { ...valid, expiresInSec: 86_401 }, 'expiresInSec'],
    ['half a second', { ...valid, expiresInSec: 1.5 }, 'expiresInSec'],
    ['a life in text', { ...valid, expiresInSec: '60' }, 'expiresInSec'],
    ['two ends', { ...valid, expiresInSec: 60, exp: NOW + 60 }, 'exp'],
    ['8,193 bytes of metadata', { ...valid, metadata: ofBytes(8_193) }, 'metadata'],
    [
      'metadata that is too long in UTF-8 alone',
      { ...valid, metadata: { a: 'é'.repeat(4_096) } },
      'metadata',
    ],
    ['4,097 bytes of peer metadata', { ...valid, peerMetadata: ofBytes(4_097) }, 'peerMetadata'],
    ['metadata of 33 levels', { ...valid, metadata: nested(33) }, 'metadata'],
    ['metadata that is a list', { ...valid, metadata: [] }, 'metadata'],
    ['metadata of null', { ...valid, metadata: null }, 'metadata'],
    ['ICE servers that are no list', { ...valid, metadata: { iceServers: {} } }, 'metadata.iceServers'],
    [
      '17 ICE servers',
      { ...valid, metadata: { iceServers: Array(17).fill({ urls: 'stun:a' }) } },
      'metadata.iceServers',
    ],
    ['an ICE server without URL', ice({}), 'metadata.iceServers.0.urls'],
    ['an ICE server with no URL in its list', ice({ urls: [] }), 'metadata.iceServers.0.urls'],
    ['an ICE server over http', ice({ urls: 'http://a' }), 'metadata.iceServers.0.urls'],
    ['one bad URL in a list', ice({ urls: ['stun:a', 'x'] }), 'metadata.iceServers.0.urls.1'],
    ['an ICE URL of 513 characters', ice({ urls: `stun:${'a'.repeat(508)}` }), 'metadata.iceServers.0.urls'],
    [
      'an ICE user of 1,025',
      ice({ urls: 'turn:a', username: 'x'.repeat(1_025) }),
      'metadata.iceServers.0.username',
    ],
    [
      'an ICE credential of 1,025',
      ice({ urls: 'turn:a', credential: 'x'.repeat(1_025) }),
      'metadata.iceServers.0.credential',
    ],
    ['a member that is not known', { ...valid, ttl: 60 }, ''],
  ]
  for (const [what, body, path] of bad) {
    it(`may not have ${what}`, () => {
      assert.equal(channels.request.safeParse(body).error?.issues[0]?.path.join('.'), path)
    })
  }

  for (const channel of ['_metered/x', '_internal/**', '_system/*', '_system/']) {
    it(`may not have the reserved channel ${channel}`, () => {
      const [issue] = channels.request.safeParse({ ...valid, channels: [channel] }).error?.issues ?? []
      assert.deepEqual(issue?.code === 'custom' && issue.params, { error: 'channel_reserved' })
    })
  }
})

describe('a channels token', () => {
  const parse = (body: object) => channels.request.parse({ ...valid, ...body })

  it('grants what was asked for by name', () => {
    const asked = { channels: ['room-*'], permissions: ['send'], metadata: { m: 1 }, peerMetadata: { p: 1 } }
    assert.deepEqual(channels.claims(parse(asked), context), { sub: 'alice', ...asked })
  })

  it('grants no channel that was not asked for, and never send by itself', () => {
    assert.deepEqual(channels.claims(parse({}), context), {
      sub: 'alice',
      channels: [],
      permissions: ['publish', 'subscribe', 'presence'],
    })
  })

  it('lives as long as is asked, if it is asked', () => {
    assert.equal(channels.askedTtlSeconds(parse({}), NOW, 86_400), undefined)
    assert.equal(channels.askedTtlSeconds(parse({ expiresInSec: 5 }), NOW, 86_400), 5)
    assert.equal(channels.askedTtlSeconds(parse({ exp: NOW + 5 }), NOW, 86_400), 5)
  })

  it('cuts an end that a clock ahead put up to 10 s too far, and refuses one farther', () => {
    assert.equal(channels.askedTtlSeconds(parse({ exp: NOW + 86_410 }), NOW, 86_400), 86_400)
    assert.throws(() => channels.askedTtlSeconds(parse({ exp: NOW + 86_411 }), NOW, 86_400), {
      error: 'body_invalid',
    })
  })

  it('cuts an end to a shorter longest too, and leaves one beyond that to be refused', () => {
    assert.equal(channels.askedTtlSeconds(parse({ exp: NOW + 605 }), NOW, 600), 600)
    assert.equal(channels.askedTtlSeconds(parse({ exp: NOW + 611 }), NOW, 600), 611)
  })

  it('refuses an end that is not in the future', () => {
    for (const exp of [NOW, NOW - 1, 0, -1]) {
      assert.throws(() => channels.askedTtlSeconds(parse({ exp }), NOW, 86_400), { error: 'body_invalid' })
    }
  })
})
