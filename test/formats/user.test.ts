import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { colorOf } from '../../src/domain/color.ts'
import { user } from '../../src/formats/user.ts'

const valid = { userId: 'user-1', name: 'Alice' }
const context = {
  environmentId: 'env_0000000000000000',
  now: 1_000,
  expiresAt: 4_600,
  grant: {},
  iceServer: undefined,
}

describe('a user request', () => {
  const good: [string, object][] = [
    ['the least that is needed', valid],
    ['an avatar', { ...valid, avatar: 'https://example.com/a.png' }],
    ['an avatar over http of 2,048 characters', { ...valid, avatar: `http://x/${'a'.repeat(2_039)}` }],
    ['128 characters of user', { ...valid, userId: '😀'.repeat(128) }],
    ['200 characters of name', { ...valid, name: '😀'.repeat(200) }],
    ['a name with an emoji that is joined', { ...valid, name: '👩‍💻 Zoë' }],
  ]
  for (const [what, body] of good) {
    it(`may have ${what}`, () => assert.equal(user.request.safeParse(body).success, true))
  }

  const bad: [string, unknown, string][] = [
    ['no user', { name: 'A' }, 'userId'],
    ['an empty user', { ...valid, userId: '' }, 'userId'],
    ['129 characters of user', { ...valid, userId: 'x'.repeat(129) }, 'userId'],
    ['a user of another type', { ...valid, userId: 1 }, 'userId'],
    ['a user that ends in a space', { ...valid, userId: 'bob ' }, 'userId'],
    ['no name', { userId: 'a' }, 'name'],
    ['an empty name', { ...valid, name: '' }, 'name'],
    ['201 characters of name', { ...valid, name: 'x'.repeat(201) }, 'name'],
    ['a control character in the name', { ...valid, name: 'a\u0007' }, 'name'],
    ['an avatar that is no URL', { ...valid, avatar: 'alice.png' }, 'avatar'],
    ['an avatar that runs', { ...valid, avatar: 'javascript:alert(1)' }, 'avatar'],
    ['an avatar with a space', { ...valid, avatar: 'https://a/ b' }, 'avatar'],
    ['an avatar of two lines', { ...valid, avatar: 'https://a\n/b' }, 'avatar'],
    ['an avatar with a password', { ...valid, avatar: 'https://u:p@a/' }, 'avatar'],
    ['an avatar without slashes', { ...valid, avatar: 'https:evil' }, 'avatar'],
    ['an avatar of 2,049 characters', { ...valid, avatar: `http://x/${'a'.repeat(2_040)}` }, 'avatar'],
    ['an avatar of null', { ...valid, avatar: null }, 'avatar'],
    ['a member that is not known', { ...valid, role: 'admin' }, ''],
    ['no object', [], ''],
  ]
  for (const [what, body, path] of bad) {
    it(`may not have ${what}`, () => {
      const found = user.request.safeParse(body)
      assert.equal(found.error?.issues[0]?.path.join('.'), path)
    })
  }
})

describe('a user token', () => {
  it('says who the user is, with the colour of this environment', () => {
    assert.deepEqual(user.claims({ ...valid, avatar: 'https://x/a.png' }, context), {
      sub: 'user-1',
      name: 'Alice',
      avatar: 'https://x/a.png',
      color: colorOf(context.environmentId, 'user-1'),
    })
  })

  it('has no avatar when none was given', () => {
    assert.equal('avatar' in user.claims(valid, context), false)
  })

  it('lives an hour, whatever is asked', () => {
    assert.equal(user.lifetime.defaultSeconds, 3_600)
    assert.equal(user.askedTtlSeconds(valid, 0, 86_400), undefined)
  })
})
