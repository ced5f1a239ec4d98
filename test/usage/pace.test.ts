import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPace } from '../../src/usage/pace.ts'

/** A pace, and its clock. */
function setup() {
  let now = 0
  const pace = createPace({ monotonic: () => now })
  /** Works for so many milliseconds in steps of 0.05, and tells after how many there was to be a rest. */
  const workFor = (most: number) => {
    for (let worked = 0; worked < most; worked += 0.05) {
      const rest = pace.step()
      if (rest !== undefined) return { worked, rest }
      now += 0.05
    }
    return { worked: most, rest: undefined }
  }
  return { pace, workFor, pass: (milliseconds: number) => (now += milliseconds) }
}

describe('the pace of what nobody waits for', () => {
  it('rests after a quarter of a millisecond', async () => {
    const { workFor } = setup()
    for (let round = 0; round < 3; round += 1) {
      const { worked, rest } = workFor(10)
      assert.ok(worked > 0.2 && worked < 0.35, `${worked}`)
      await rest
    }
  })

  it('has its part of an event loop that is busy, or it would fall behind without an end', async () => {
    const { workFor, pass } = setup()
    const { rest } = workFor(10)
    pass(100)
    await rest
    const { worked } = workFor(100)
    assert.ok(worked > 14 && worked < 16, `${worked}`)
  })

  it('counts what it waited for otherwise as a rest', () => {
    const { pace, workFor, pass } = setup()
    workFor(0.1)
    pass(10)
    pace.resume()
    const { worked } = workFor(100)
    assert.ok(worked > 1.4 && worked < 1.7, `${worked}`)
  })

  it('does not rest once it is hurried', () => {
    const { pace, workFor } = setup()
    pace.hurry()
    assert.equal(workFor(10).rest, undefined)
  })
})
