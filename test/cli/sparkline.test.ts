import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sparkline } from '../../src/cli/sparkline.ts'

describe('a sparkline', () => {
  const cases: [values: number[], width: number, line: string][] = [
    [[], 10, ''],
    [[0, 0, 0], 10, '▁▁▁'],
    [[7], 10, '█'],
    [[0, 1, 2, 3, 4, 5, 6, 7], 10, '▁▂▃▄▅▆▇█'],
    // Something is never shown as nothing.
    [[0, 1, 1_000_000], 10, '▁▂█'],
    [[1, 1, 2, 2, 0, 0], 3, '▅█▁'],
    [[1, 1, 1, 1, 1], 2, '█▆'],
    [[5, 5], 1, '█'],
    [[Number.MAX_SAFE_INTEGER, 1], 2, '█▂'],
  ]
  for (const [values, width, line] of cases) {
    it(`of ${values.join(', ') || 'nothing'} in ${width} is ${line || 'empty'}`, () => {
      assert.equal(sparkline(values, width), line)
    })
  }

  it('is never wider than it may be, and has a block for each number where there is room', () => {
    for (let count = 0; count < 200; count += 1) {
      const values = Array.from({ length: count }, (_, index) => index % 9)
      assert.equal(sparkline(values, 72).length, Math.min(count, 72))
    }
  })
})
