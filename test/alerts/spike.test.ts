import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createRollingCourse } from '../../src/alerts/rolling-course.ts'
import { judgeKeys, judgeWhole, medianBefore, type Spike, type Standing } from '../../src/alerts/spike.ts'

const NOW = 30_000_000

/** A course with the same in every minute of the hour before, and what is said of others by how long ago they are. */
function courseOf(usual: number, minutes: Record<number, number> = {}) {
  return (minute: number) => minutes[NOW - minute] ?? (minute >= NOW - 70 && minute < NOW ? usual : 0)
}

function judge(standing: Standing, current = NOW) {
  return judgeKeys(current, new Map([['kid_1', standing]])).verdicts
}

function raisedAt(minute: number, issued: number, median: number) {
  return [{ kind: 'raised', keyId: 'kid_1', spike: { minute, issued, median } }]
}

describe('a minute', () => {
  const edges: [what: string, usual: number, issued: number, rings: boolean][] = [
    ['of 50 after silence', 0, 50, true],
    ['of 49 after silence', 0, 49, false],
    ['of 50 beside 12', 12, 50, true],
    ['of 50 beside 13', 13, 50, false],
    ['of exactly four times the median', 25, 100, true],
    ['of one less', 25, 99, false],
    ['of a hundred times the median that is small', 0.4, 40, false],
  ]
  for (const [what, usual, issued, rings] of edges) {
    it(`${what} ${rings ? 'rings' : 'does not ring'}`, () => {
      const expected = rings ? raisedAt(NOW, issued, usual) : []
      assert.deepEqual(judge({ course: courseOf(usual, { 0: issued }) }), expected)
    })
  }

  it('without tokens counts as one when the median is taken', () => {
    const half = (minute: number) => (minute % 2 === 0 ? 100 : 0)
    assert.equal(medianBefore(half, NOW), 50)
    const third = (minute: number) => (minute % 3 === 0 ? 100 : 0)
    assert.equal(medianBefore(third, NOW), 0)
    assert.deepEqual(
      judge({ course: (minute) => (minute === NOW ? 60 : third(minute)) }),
      raisedAt(NOW, 60, 0),
    )
  })

  it('that is not over rings as soon as it is high enough, and the one before it when its last counts come late', () => {
    assert.deepEqual(judge({ course: courseOf(5, { 0: 49 }) }), [])
    assert.deepEqual(judge({ course: courseOf(5, { 0: 50 }) }), raisedAt(NOW, 50, 5))
    assert.deepEqual(judge({ course: courseOf(5, { 0: 3, 1: 80 }) }), raisedAt(NOW - 1, 80, 5))
    assert.deepEqual(judge({ course: courseOf(5, { 0: 3, 2: 80 }) }), [])
  })

  it('is compared with the hour before it, not with itself or what comes after', () => {
    const course = courseOf(5, { 0: 10_000, 1: 80, 61: 10_000 })
    assert.deepEqual(judge({ course }), raisedAt(NOW - 1, 80, 5))
  })
})

describe('an alert', () => {
  const open: Spike = { minute: NOW - 30, issued: 400, median: 10 }
  const last = (issued: number, ended = 7) => {
    const minutes = Array.from({ length: 40 }, (_, ago) => [ago, ago < ended ? issued : 400] as const)
    return courseOf(10, Object.fromEntries(minutes))
  }
  const closed = (why: string, minute = NOW - 2) => [{ kind: 'closed', keyId: 'kid_1', minute, why }]

  it('is closed after five calm minutes, of which none may still grow', () => {
    assert.deepEqual(judge({ course: last(10, 7), open }), closed('calm'))
    assert.deepEqual(judge({ course: last(10, 6), open }), [])
    const anew = (minute: number) => (minute === NOW ? 400 : last(10, 7)(minute))
    assert.deepEqual(judge({ course: anew, open }), [])
  })

  it('is calm below three quarters of what rang, and below half of the highest minute', () => {
    assert.deepEqual(judge({ course: last(37), open }), closed('calm'))
    assert.deepEqual(judge({ course: last(38), open }), [])
    const low: Spike = { minute: NOW - 30, issued: 52, median: 10 }
    const barely = courseOf(10, { ...Object.fromEntries(Array.from({ length: 7 }, (_, ago) => [ago, 30])) })
    assert.deepEqual(judge({ course: barely, open: low }), [])
    const higher = (minute: number) => (minute === NOW - 20 ? 70 : barely(minute))
    assert.deepEqual(judge({ course: higher, open: low }), closed('calm'))
  })

  it('does not ring again while it is open, nor for minutes up to its end', () => {
    assert.deepEqual(judge({ course: courseOf(10, { 0: 5_000, 1: 400 }), open }), [])
    const again = courseOf(10, { 0: 5_000, 1: 400 })
    assert.deepEqual(judge({ course: again, closedMinute: NOW - 1 }), raisedAt(NOW, 5_000, 10))
    assert.deepEqual(judge({ course: again, closedMinute: NOW }), [])
  })

  it('is not measured by its own minutes, but a level that has stayed for two hours has become usual', () => {
    const stays = (minute: number) => (minute <= NOW ? 400 : 0)
    const since = (minutes: number) => ({ minute: NOW - 2 - minutes, issued: 400, median: 10 })
    assert.deepEqual(judge({ course: stays, open: since(119) }), [])
    assert.deepEqual(judge({ course: stays, open: since(120) }), closed('new_level'))
    const grows = (minute: number) => (minute > NOW - 10 ? 4_000 : 400)
    assert.deepEqual(judge({ course: grows, open: since(600) }), [])
  })

  it('ends, and does not keep others from ringing, when the clock that wrote it has gone back', () => {
    const ahead: Spike = { minute: NOW + 500_000, issued: 400, median: 10 }
    assert.deepEqual(judge({ course: courseOf(10), open: ahead }), closed('calm'))
    const course = courseOf(10, { 0: 300 })
    assert.deepEqual(judge({ course, closedMinute: NOW + 500_000 }), raisedAt(NOW, 300, 10))
  })

  it('outlives a gap in the counts of less than five minutes', () => {
    assert.deepEqual(judge({ course: last(0, 6), open }), [])
  })
})

describe('an environment as a whole', () => {
  const course = courseOf(20, { 0: 900, 1: 100 })

  it('is judged by its last whole minute, so that a key of it rings first', () => {
    assert.deepEqual(judgeWhole(NOW, { course }, 'judged'), {
      kind: 'raised',
      keyId: '',
      spike: { minute: NOW - 1, issued: 100, median: 20 },
    })
    assert.equal(judgeWhole(NOW, { course: courseOf(20, { 0: 900 }) }, 'judged'), undefined)
    assert.equal(judgeWhole(NOW, { course }, 'covered'), undefined)
  })

  it('stands for the keys beyond the tenth that rings, as long as there are any', () => {
    const many = (count: number) => {
      const keys = Array.from({ length: count }, (_, index) => `kid_${index}`)
      return new Map(keys.map((keyId) => [keyId, { course: courseOf(0, { 0: 60 }) }]))
    }
    const ten = judgeKeys(NOW, many(10))
    assert.deepEqual([ten.verdicts.length, ten.rest], [10, 'covered'])
    const eleven = judgeKeys(NOW, many(11))
    assert.deepEqual([eleven.verdicts.length, eleven.rest], [10, 'crowded'])
    assert.equal(judgeWhole(NOW, { course }, 'crowded')?.kind, 'raised')
    const open: Spike = { minute: NOW - 30, issued: 900, median: 400 }
    assert.equal(judgeWhole(NOW, { course: courseOf(20), open }, 'crowded'), undefined)
    assert.equal(judgeWhole(NOW, { course: courseOf(20), open }, 'covered')?.kind, 'closed')
  })
})

describe('a rolling course', () => {
  it('adds what comes for a minute, and forgets what is more than two hours old', () => {
    const { course, add, set } = createRollingCourse()
    add(NOW, 3)
    add(NOW, 4)
    assert.equal(course(NOW), 7)
    set(NOW, 5)
    set(NOW + 70, 9)
    assert.deepEqual([course(NOW), course(NOW + 1), course(NOW + 70)], [5, 0, 9])
    set(NOW + 128, 1)
    assert.deepEqual([course(NOW), course(NOW + 128)], [0, 1])
  })
})
