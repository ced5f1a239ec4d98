import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemSeams } from '../src/seams.ts'

describe('the chance of a real process', () => {
  it('gives as many bytes as were asked for, and no 16 of them twice, over many blocks', () => {
    const sizes = [16, 1, 16, 7, 16, 32, 16]
    const given = Array.from({ length: 7_000 }, (_, index) =>
      systemSeams.random(sizes[index % sizes.length] ?? 0),
    )
    assert.deepEqual(
      given.slice(0, 7).map(({ length }) => length),
      sizes,
    )
    const names = given
      .filter(({ length }) => length === 16)
      .map((bytes) => Buffer.from(bytes).toString('hex'))
    assert.equal(new Set(names).size, names.length)
  })

  it('leaves what was given as it was when more is asked for', () => {
    const first = systemSeams.random(16)
    const before = Buffer.from(first).toString('hex')
    for (let count = 0; count < 1_000; count += 1) systemSeams.random(16)
    assert.equal(Buffer.from(first).toString('hex'), before)
  })
})
