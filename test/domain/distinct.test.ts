import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, it } from 'node:test'
import {
  addToSketch,
  distinctIn,
  emptySketch,
  mergeSketches,
  readSketch,
  type Sketch,
  writeSketch,
} from '../../src/domain/distinct.ts'
import { inFull } from '../helpers/scale.ts'

function add(sketch: Sketch, from: number, to: number, series = ''): void {
  for (let index = from; index < to; index += 1) {
    addToSketch(sketch, hash('sha256', `${series}subject-${index}`, 'hex'))
  }
}

describe('a sketch', () => {
  it('tells how many there were, within four standard errors, from none to a million', () => {
    const sketch = emptySketch()
    assert.equal(distinctIn(sketch), 0)
    let added = 0
    for (const count of [1, 2, 10, 100, 1_000, 10_000, 100_000, inFull(1_000_000, 200_000)]) {
      add(sketch, added, count)
      added = count
      const found = distinctIn(sketch)
      // Few things are told exactly.
      const most = count <= 10 ? 0 : Math.ceil(count * 0.065)
      assert.ok(Math.abs(found - count) <= most, `${found} for ${count}`)
    }
  })

  it('is wrong by 1.6 % over many series, and leans to no side', () => {
    const errors: number[] = []
    for (let series = 0; series < inFull(200, 40); series += 1) {
      const sketch = emptySketch()
      add(sketch, 0, 3_000, `${series}:`)
      errors.push(distinctIn(sketch) / 3_000 - 1)
    }
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length
    const spread = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length)
    assert.ok(Math.abs(mean) < 0.01, `${mean}`)
    assert.ok(spread < 0.025, `${spread}`)
  })

  it('counts nothing twice, whether it comes again or with another sketch', () => {
    const [one, other] = [emptySketch(), emptySketch()]
    add(one, 0, 5_000)
    const alone = distinctIn(one)
    add(one, 0, 5_000)
    assert.equal(distinctIn(one), alone)
    add(other, 2_500, 7_500)
    assert.equal(mergeSketches(one, other), true)
    assert.equal(mergeSketches(one, other), false)
    const both = emptySketch()
    add(both, 0, 7_500)
    assert.deepEqual(one, both)
  })

  it('is the same after it was written and read, short for few and never longer than its registers', () => {
    const sketch = emptySketch()
    let added = 0
    for (const [count, most] of [
      [0, 0],
      [1, 3],
      [100, 300],
      [50_000, 4_096],
    ] as const) {
      add(sketch, added, count)
      added = count
      const text = writeSketch(sketch)
      assert.ok(text.length <= most, `${text.length}`)
      assert.match(text, /^[\w-]*$/)
      assert.deepEqual(readSketch(text), sketch)
    }
    // All 52 bits behind the index are zeros.
    addToSketch(sketch, '0'.repeat(16))
    assert.equal(sketch[0], 53)
    assert.ok(distinctIn(sketch) > 0)
  })

  it('refuses what is none', () => {
    for (const text of ['A', 'AB', '***', `${'A'.repeat(4_095)}*`, 'A'.repeat(4_097)]) {
      assert.throws(() => readSketch(text), /no sketch/)
    }
  })
})
