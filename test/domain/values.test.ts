import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { colorOf } from '../../src/domain/color.ts'
import { nameFault, tagFault } from '../../src/domain/environment.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../../src/domain/identifier.ts'
import { subjectFault } from '../../src/domain/subject.ts'
import { systemSeams } from '../../src/seams.ts'

describe('identifiers', () => {
  it('have a prefix and 16 of 0-9a-z, leading zeros included', () => {
    assert.equal(writeIdentifier('env', new Uint8Array(IDENTIFIER_RANDOM_BYTES)), 'env_0000000000000000')
    assert.match(writeIdentifier('kid', systemSeams.random(IDENTIFIER_RANDOM_BYTES)), /^kid_[0-9a-z]{16}$/)
  })

  it('do not repeat', () => {
    const made = Array.from({ length: 1000 }, () => writeIdentifier('sig', systemSeams.random(16)))
    assert.equal(new Set(made).size, made.length)
  })
})

describe('the colour of a user', () => {
  it('is the same every time and another one in another environment', () => {
    assert.equal(colorOf('env_a', 'user-1'), colorOf('env_a', 'user-1'))
    const colors = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => colorOf(`env_${name}`, 'user-1'))
    assert.ok(new Set(colors).size > 1)
  })

  it('is the palette at SHA-256 modulo its size', () => {
    // With sixteen colours that is the digest's last four bits; the first is #6366f1, the second #f59e0b.
    const ids = Array.from({ length: 200 }, (_, index) => `user-${index}`)
    const lowBits = (id: string) => (createHash('sha256').update(`env_a:${id}`).digest().at(-1) ?? 0) & 15
    for (const id of ids.filter((name) => lowBits(name) === 0)) assert.equal(colorOf('env_a', id), '#6366f1')
    for (const id of ids.filter((name) => lowBits(name) === 1)) assert.equal(colorOf('env_a', id), '#f59e0b')
    assert.equal(new Set(ids.map((id) => colorOf('env_a', id))).size, 16)
  })
})

describe('a subject', () => {
  for (const text of ['bob', 'a b', 'Zoë', 'ユーザー', '😀', 'x'.repeat(128), 'bob@example.com']) {
    it(`may be ${JSON.stringify(text.slice(0, 20))}`, () => assert.equal(subjectFault(text), undefined))
  }

  const refused = {
    'a space at the end': 'bob ',
    'a space at the start': ' bob',
    'a no-break space at the end': 'bob\u00a0',
    'a zero-width space': 'bo\u200bb',
    'a zero-width joiner': 'bo\u200db',
    'a byte order mark': '\ufeffbob',
    'a soft hyphen': 'bo\u00adb',
    'a direction override': 'bo\u202eb',
    'a hangul filler': 'bob\u3164x',
    'a variation selector': 'bob\ufe0fx',
    'a line feed': 'bo\nb',
    'a line separator': 'bo\u2028b',
    'a NUL': 'bo\u0000b',
    'a lone surrogate': 'bo\ud800b',
  }
  for (const [what, text] of Object.entries(refused)) {
    it(`may not hold ${what}`, () => assert.notEqual(subjectFault(text), undefined))
  }
})

describe('an environment', () => {
  it('has a tag of 1 to 8 of a-z and 0-9', () => {
    for (const tag of ['a', 'live', 'stg1', '12345678']) assert.equal(tagFault(tag), undefined)
    for (const tag of ['', 'Live', 'a_b', '123456789', 'é']) assert.notEqual(tagFault(tag), undefined)
  })

  it('has a name of 1 to 80 characters without edge spaces or control characters', () => {
    for (const name of ['x', 'My app', '😀'.repeat(80)]) assert.equal(nameFault(name), undefined)
    for (const name of ['', ' x', 'x ', 'x'.repeat(81), 'a\nb', '\ud800'])
      assert.notEqual(nameFault(name), undefined)
  })
})
