import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  PEER_ID,
  type Policy,
  parsePolicy,
  parsePolicyPattern,
  parsePolicyText,
  policyContains,
  policyMatches,
} from '../../src/domain/policy.ts'

describe('an id of a group or a peer', () => {
  it('is 1 to 36 letters, digits, _ and -', () => {
    for (const id of ['a', 'Z-9_', 'x'.repeat(36)]) assert.match(id, PEER_ID)
    for (const id of ['', 'x'.repeat(37), 'a b', 'a:b', 'a.b', 'a@b', 'a*', 'é', 'a\n'])
      assert.doesNotMatch(id, PEER_ID)
  })
})

describe('parsing a pattern of a policy', () => {
  it('takes the characters of an id, the three that products write beside them, and one star', () => {
    for (const text of ['*', 'a', 'chat:room-12', 'a.b@c_d', 'user-*', '*-x', 'a*b', 'x'.repeat(36)]) {
      assert.equal(faultOf(parsePolicyPattern(text)), '', text)
    }
  })

  const refused: [text: string, fault: RegExp][] = [
    ['', /^is empty$/],
    ['x'.repeat(37), /^is longer than 36 characters$/],
    ['**', /^has more than one \*$/],
    ['a*b*', /^has more than one \*$/],
    ['a b', /^holds a character other than/],
    ['a/b', /^holds a character other than/],
    ['a\\*', /^holds a character other than/],
    ['é', /^holds a character other than/],
    ['a\n', /^holds a character other than/],
    ['a\u0000', /^holds a character other than/],
  ]
  for (const [text, fault] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.match(faultOf(parsePolicyPattern(text)), fault))
  }

  it('keeps the text as it was written', () => {
    const { groupId, peerId } = policy('chat:*', 'a')
    assert.deepEqual([groupId.text, peerId.text], ['chat:*', 'a'])
  })
})

describe('parsing a policy', () => {
  it('divides group:peer at the last colon', () => {
    const parsed = parsePolicyText('chat:room-12:user-*')
    assert.ok(!('fault' in parsed))
    assert.deepEqual([parsed.groupId.text, parsed.peerId.text], ['chat:room-12', 'user-*'])
  })

  it('says which part is wrong', () => {
    assert.match(faultOf(parsePolicy('a**', 'b')), /^has a group pattern that has more than one \*$/)
    assert.match(faultOf(parsePolicy('a', '')), /^has a peer pattern that is empty$/)
    assert.match(faultOf(parsePolicyText('group')), /^has no :/)
    assert.match(faultOf(parsePolicyText(':peer')), /^has a group pattern that is empty$/)
    assert.match(faultOf(parsePolicyText('group:')), /^has a peer pattern that is empty$/)
    assert.match(faultOf(parsePolicyText('')), /^has no :/)
  })
})

describe('what a policy permits', () => {
  const cases: [pattern: string, id: string, expected: boolean][] = [
    ['*', 'anything', true],
    ['a', 'a', true],
    ['a', 'A', false],
    ['a', 'ab', false],
    ['a', 'ba', false],
    ['a*', 'a', true],
    ['a*', 'ba', false],
    ['*a', 'ba', true],
    ['*a', 'ab', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*a', 'aba', true],
    ['ab*ba', 'aba', false],
    ['ab*ba', 'abba', true],
    ['chat:*', 'chat', false],
    ['a.c', 'abc', false],
  ]
  for (const [pattern, id, expected] of cases) {
    it(`${expected ? 'permits' : 'refuses'} ${id} under ${pattern}, as a group and as a peer`, () => {
      assert.equal(policyMatches(policy(pattern, '*'), id, 'peer'), expected)
      assert.equal(policyMatches(policy('*', pattern), 'group', id), expected)
    })
  }

  it('permits only when both parts match', () => {
    const both = policy('g*', 'p*')
    assert.ok(policyMatches(both, 'g1', 'p1'))
    assert.ok(!policyMatches(both, 'g1', 'x'))
    assert.ok(!policyMatches(both, 'x', 'p1'))
    assert.ok(!policyMatches(both, 'p1', 'g1'))
  })
})

describe('whether a policy contains another', () => {
  // Patterns of up to 3 characters differ, if they do, in an id of up to 5: head, one letter of the run, tail.
  const ids = textsUpTo(5, ['a', 'b', 'c'])
  const patterns = textsUpTo(3, ['a', 'b', '*']).filter((text) => faultOf(parsePolicyPattern(text)) === '')
  const known = patterns.map((text) => ({
    text,
    permitted: new Set(ids.filter((id) => matchesSlowly(text, id))),
  }))

  it('matches as the obvious reading does, for every short pattern and id', () => {
    for (const { text, permitted } of known) {
      for (const id of ids)
        assert.equal(policyMatches(policy(text, '*'), id, 'p'), permitted.has(id), `${text} on ${id}`)
    }
  })

  it('is exact for every pair of short patterns, as a group and as a peer', () => {
    const tally = { true: 0, false: 0 }
    for (const outer of known) {
      for (const inner of known) {
        const expected = [...inner.permitted].every((id) => outer.permitted.has(id))
        const message = `${inner.text} in ${outer.text}`
        assert.equal(policyContains(policy(outer.text, '*'), policy(inner.text, '*')), expected, message)
        assert.equal(policyContains(policy('*', outer.text), policy('*', inner.text)), expected, message)
        tally[`${expected}`]++
      }
    }
    assert.ok(tally.true > 50 && tally.false > 50, JSON.stringify(tally))
  })

  it('wants both parts to be contained', () => {
    assert.ok(policyContains(policy('g*', 'p*'), policy('g1', 'p-*')))
    assert.ok(!policyContains(policy('g*', 'p*'), policy('g1', '*')))
    assert.ok(!policyContains(policy('g*', 'p*'), policy('*', 'p1')))
  })

  it('does not let head and tail share a letter', () => {
    assert.ok(!policyContains(policy('ab*ba', '*'), policy('aba', '*')))
    assert.ok(!policyContains(policy('a*a', '*'), policy('a', '*')))
    assert.ok(!policyContains(policy('a*a', '*'), policy('a*', '*')))
    assert.ok(policyContains(policy('a*a', '*'), policy('ab*ba', '*')))
  })
})

function policy(groupId: string, peerId: string): Policy {
  const parsed = parsePolicy(groupId, peerId)
  if ('fault' in parsed) assert.fail(`${groupId}:${peerId} ${parsed.fault}`)
  return parsed
}

function faultOf(parsed: object & { fault?: string }): string {
  return parsed.fault ?? ''
}

function textsUpTo(length: number, letters: readonly string[]): string[] {
  if (length === 1) return [...letters]
  const shorter = textsUpTo(length - 1, letters)
  const longest = shorter.filter((text) => text.length === length - 1)
  return [...shorter, ...longest.flatMap((text) => letters.map((letter) => text + letter))]
}

/** Letter by letter: a star is left, or takes one more. */
function matchesSlowly(pattern: string, id: string): boolean {
  if (pattern === '') return id === ''
  if (pattern.startsWith('*')) {
    return matchesSlowly(pattern.slice(1), id) || (id !== '' && matchesSlowly(pattern, id.slice(1)))
  }
  return id !== '' && pattern[0] === id[0] && matchesSlowly(pattern.slice(1), id.slice(1))
}
