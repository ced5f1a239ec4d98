import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { digestOfKey, hintOfKey, KEY_RANDOM_BYTES, kindOfKey, writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'

const vectors: { valid: string[]; malformed: string[] } = JSON.parse(
  readFileSync(new URL('../vectors/key-text.json', import.meta.url), 'utf8'),
)

describe('key text', () => {
  for (const text of vectors.valid) {
    it(`knows the golden key ${text.slice(0, 12)}…`, () => {
      assert.equal(kindOfKey(text), text.startsWith('sk_') ? 'secret' : 'publishable')
    })
  }

  for (const text of vectors.malformed) {
    it(`tells that ${text.slice(-4)} ends no key`, () => assert.equal(kindOfKey(text), undefined))
  }

  it('writes the golden key of value 0 again', () => {
    const zero = new Uint8Array(KEY_RANDOM_BYTES)
    assert.equal(
      writeKey('secret', 'live', zero),
      'sk_live_00000000000000000000000000000000000000000001Vxh1Z',
    )
  })

  it('needs 43 digits for the largest value, and no more', () => {
    const text = writeKey('secret', 'live', new Uint8Array(KEY_RANDOM_BYTES).fill(255))
    assert.match(text, /^sk_live_[0-9A-Za-z]{49}$/)
    assert.equal(kindOfKey(text), 'secret')
  })

  it('writes every kind so that it is told apart', () => {
    const random = systemSeams.random(KEY_RANDOM_BYTES)
    assert.equal(kindOfKey(writeKey('secret', 'a1', random)), 'secret')
    assert.equal(kindOfKey(writeKey('publishable', 'stg', random)), 'publishable')
    assert.equal(kindOfKey(writeKey('admin', undefined, random)), 'admin')
  })

  it('notices every single wrong character and every cut', () => {
    const text = vectors.valid[1] ?? ''
    for (let index = 0; index < text.length; index += 1) {
      const other = text[index] === 'x' ? 'y' : 'x'
      assert.equal(kindOfKey(text.slice(0, index) + other + text.slice(index + 1)), undefined)
      assert.equal(kindOfKey(text.slice(0, index)), undefined)
    }
  })

  it('keeps a digest and a hint that hold nothing of the secret but four characters', () => {
    const text = vectors.valid[1] ?? ''
    assert.equal(hintOfKey(text), 'sk_live_…47sr')
    assert.equal(digestOfKey(text).length, 43)
    assert.notEqual(digestOfKey(text), digestOfKey(`${text.slice(0, -1)}s`))
  })
})
