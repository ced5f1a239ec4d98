import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  nextPhaseAfter,
  type Phase,
  phaseAt,
  previousKeyAt,
  publishedKeysAt,
  signingKeyAt,
  signingKeyFor,
} from '../../src/domain/signing-period.ts'

const key = (kid: string, signsFrom: number, signsUntil?: number, verifiesUntil?: number) => ({
  kid,
  createdAt: signsFrom - 10,
  signsFrom,
  signsUntil,
  verifiesUntil,
})

describe('a signing key', () => {
  const whole = key('a', 100, 200, 300)
  const moments: [number, Phase][] = [
    [0, 'published'],
    [99, 'published'],
    [100, 'signing'],
    [199, 'signing'],
    [200, 'verifying'],
    [299, 'verifying'],
    [300, 'gone'],
    [9_999, 'gone'],
  ]
  for (const [now, phase] of moments) {
    it(`is ${phase} at ${now} of 100, 200 and 300`, () => assert.equal(phaseAt(whole, now), phase))
  }

  it('signs without end until its end is set, and verifies without end likewise', () => {
    assert.equal(phaseAt(key('a', 0), 1e15), 'signing')
    assert.equal(phaseAt(key('a', 0, 10), 1e15), 'verifying')
  })

  it('is gone at once when it was taken back before it signed', () => {
    assert.equal(phaseAt(key('a', 100, 50, 50), 50), 'gone')
  })
})

describe('what signs', () => {
  it('is the old key to the last moment and the new one from it on', () => {
    const keys = [key('old', 0, 100, 500), key('new', 100)]
    for (const [now, kid] of [
      [0, 'old'],
      [99, 'old'],
      [100, 'new'],
      [501, 'new'],
    ] as const) {
      assert.equal(signingKeyAt(keys, now)?.kid, kid)
      assert.equal(signingKeyAt(keys.toReversed(), now)?.kid, kid)
    }
  })

  it('is the newest of several, the same in every process', () => {
    assert.equal(signingKeyAt([key('b', 20), key('a', 10)], 30)?.kid, 'b')
    assert.equal(signingKeyAt([key('b', 0), key('a', 0)], 30)?.kid, 'b')
    assert.equal(signingKeyAt([key('a', 0), key('b', 0)], 30)?.kid, 'b')
  })

  it('is nothing when none may', () => {
    assert.equal(signingKeyAt([], 0), undefined)
    assert.equal(signingKeyAt([key('a', 0, 100, 200), key('b', 300)], 250), undefined)
  })

  it('is the key that was imported for the format, while that one may, else an own one of the algorithm', () => {
    const keys = [
      { ...key('own', 0), format: undefined, algorithm: 'HS256' },
      { ...key('other', 50), format: undefined, algorithm: 'EdDSA' },
      { ...key('theirs', 10, 100), format: 'channels', algorithm: 'HS256' },
    ]
    const kidAt = (format: string, now: number) =>
      signingKeyFor(keys, { format, algorithm: 'HS256' }, now)?.kid
    assert.deepEqual(
      [kidAt('channels', 9), kidAt('channels', 10), kidAt('channels', 100)],
      ['own', 'theirs', 'own'],
    )
    assert.equal(kidAt('user', 50), 'own')
    assert.equal(signingKeyFor(keys, { format: 'user', algorithm: 'none' }, 50), undefined)
  })
})

describe('the key to go back to', () => {
  const signing = key('new', 200)

  it('is the one that signed last before, and never a younger one', () => {
    const keys = [key('oldest', 0, 100, 900), key('old', 100, 200, 900), signing, key('back', 300, 400, 900)]
    assert.equal(previousKeyAt(keys, signing, 500)?.kid, 'old')
  })

  it('is none once its tokens have expired', () => {
    assert.equal(previousKeyAt([key('old', 0, 200, 900), signing], signing, 900), undefined)
  })
})

describe('what is published', () => {
  it('is every key that is not gone, in the order in which they were made', () => {
    const keys = [key('next', 400), key('signs', 100), key('old', 50, 100, 301), key('gone', 0, 50, 300)]
    const kids = publishedKeysAt(keys, 300).map(({ kid }) => kid)
    assert.deepEqual(kids, ['old', 'signs', 'next'])
  })

  it('can change at the next end of a phase and not before', () => {
    const keys = [key('a', 100, 200, 300), key('b', 200)]
    assert.deepEqual(
      [0, 100, 200, 300].map((now) => nextPhaseAfter(keys, now)),
      [100, 200, 300, Number.POSITIVE_INFINITY],
    )
  })
})
