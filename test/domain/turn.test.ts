import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { iceUrlFault, turnCredentials } from '../../src/domain/turn.ts'

interface Vectors {
  vectors: { secret: string; username: string; credential: string }[]
}

const { vectors }: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/turn.json', import.meta.url), 'utf8'),
)

describe('TURN credentials', () => {
  for (const { secret, username, credential } of vectors) {
    it(`are the golden ones of ${username}`, () => {
      const [expiresAt, subject = ''] = username.split(':')
      const urls = ['turn:turn.example.com']
      assert.deepEqual(turnCredentials(urls, secret, subject, Number(expiresAt)), {
        urls,
        username,
        credential,
      })
    })
  }
})

describe('a TURN username', () => {
  const usernameOf = (subject: string) => turnCredentials(['turn:a'], 's', subject, 7).username

  it('holds the subject as it stands wherever coturn takes that', () => {
    for (const subject of ['alice', 'a:b', 'a@b.com', 'u_1-2.3~4+5', 'x'.repeat(128), 'union', 'selected']) {
      assert.equal(usernameOf(subject), `7:${subject}`)
    }
  })

  it('holds its SHA-256 instead where coturn would not', () => {
    for (const subject of ["o'brien", 'a b', 'Zoë', 'union-select', 'SELECT/UNION', '"', '\\']) {
      assert.equal(usernameOf(subject), `7:${createHash('sha256').update(subject).digest('hex')}`)
    }
  })
})

describe('the URL of an ICE server', () => {
  const good = [
    'stun:a',
    'stuns:stun.example.com:5349',
    'turn:127.0.0.1:3478?transport=udp',
    'turns:[2001:db8::1]:5349?transport=tcp',
    `turn:${'a'.repeat(507)}`,
  ]
  for (const url of good) {
    it(`may be ${url.slice(0, 40)}`, () => assert.equal(iceUrlFault(url), undefined))
  }

  const scheme = 'must be a stun:, stuns:, turn: or turns: URL'
  const bad: [string, unknown, string][] = [
    ['empty', '', scheme],
    ['a scheme alone', 'turn:', scheme],
    ['without a scheme', 'turn.example.com:3478', scheme],
    ['with slashes behind its scheme', 'turn://host:3478', scheme],
    ['with a space', 'turn:a b', scheme],
    ['of two lines', 'turn:a\nb', scheme],
    ['of another scheme', 'https://turn.example.com', scheme],
    ['behind something else', ' turn:a', scheme],
    ['of a scheme that only begins alike', 'turnx:a', scheme],
    ['of 513 characters', `turn:${'a'.repeat(508)}`, 'must be at most 512 characters'],
    ['nothing', undefined, 'must be one URL or a list of URLs'],
    ['a number', 3478, 'must be one URL or a list of URLs'],
    ['a list in a list', ['turn:a'], 'must be one URL or a list of URLs'],
  ]
  for (const [what, url, fault] of bad) {
    it(`may not be ${what}`, () => assert.equal(iceUrlFault(url), fault))
  }
})
