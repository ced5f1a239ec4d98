import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, it } from 'node:test'
import { createDigestIndex } from '../../src/limits/digest-index.ts'

const digestOf = (text: string) => hash('sha256', text, 'latin1')

describe('an index of digests', () => {
  it('finds what a map finds, while it grows and numbers change', () => {
    const index = createDigestIndex()
    const map = new Map<string, number>()
    // Every third one is asked for before it is there, and those of the first half are set again.
    for (let number = 0; number < 50_000; number += 1) {
      const digest = digestOf(`${number}`)
      if (number % 3 === 0) assert.equal(index.get(digest), undefined)
      index.set(digest, number)
      map.set(digest, number)
      const again = digestOf(`${Math.floor(number / 2)}`)
      index.set(again, number * 80_000)
      map.set(again, number * 80_000)
    }
    for (const [digest, number] of map) assert.equal(index.get(digest), number)
    assert.equal(index.get(digestOf('another')), undefined)
  })

  it('tells digests apart that differ in one of their first sixteen characters alone', () => {
    const index = createDigestIndex()
    const like = (at: number, character: string) => {
      const characters = Array.from({ length: 32 }, () => '\u00ff')
      return characters.with(at, character).join('')
    }
    const digests = Array.from({ length: 16 }, (_, at) => [like(at, '\0'), like(at, '\u0080')]).flat()
    for (const [number, digest] of digests.entries()) index.set(digest, number)
    for (const [number, digest] of digests.entries()) assert.equal(index.get(digest), number)
  })

  it('knows 0 and the largest number, and refuses what it cannot keep instead of cutting it', () => {
    const index = createDigestIndex()
    index.set(digestOf('a'), 0)
    index.set(digestOf('b'), 2 ** 32 - 2)
    assert.deepEqual([index.get(digestOf('a')), index.get(digestOf('b'))], [0, 2 ** 32 - 2])
    for (const none of [2 ** 32 - 1, -1, 0.5, Number.NaN]) {
      assert.throws(() => index.set(digestOf('b'), none), RangeError)
    }
    assert.equal(index.get(digestOf('b')), 2 ** 32 - 2)
  })

  it('finds them where all begin in one table and one slot', () => {
    const index = createDigestIndex()
    const digests = Array.from({ length: 1_000 }, (_, number) => {
      const last = String.fromCharCode(number >> 8, number & 255)
      return `${'\0'.repeat(14)}${last}`
    })
    for (const [number, digest] of digests.entries()) index.set(digest, number)
    for (const [number, digest] of digests.entries()) assert.equal(index.get(digest), number)
  })
})
