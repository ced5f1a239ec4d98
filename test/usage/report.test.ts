import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { UsageCount } from '../../src/store/store.ts'
import { MOST_SUMS, reportUsage, showUsage } from '../../src/usage/report.ts'
import { MOST_POINTS, type Step, wholeSteps } from '../../src/usage/span.ts'
import { emptyStore } from './counted.ts'

const at = (text: string) => Date.parse(text)
const minuteOf = (text: string) => at(text) / 60_000

describe('the span of a question', () => {
  const now = at('2027-01-01T00:30:15Z')
  const cases: [from: string | undefined, to: string | undefined, step: Step, first: string, end: string][] =
    [
      [undefined, undefined, 'minute', '2026-12-31T23:31:00Z', '2027-01-01T00:31:00Z'],
      [undefined, undefined, 'hour', '2026-12-31T01:00:00Z', '2027-01-01T01:00:00Z'],
      [undefined, undefined, 'day', '2026-12-03T00:00:00Z', '2027-01-02T00:00:00Z'],
      [
        '2026-12-31T23:59:59.999Z',
        '2027-01-01T00:00:00Z',
        'minute',
        '2026-12-31T23:59:00Z',
        '2027-01-01T00:00:00Z',
      ],
      [
        '2026-12-31T23:59:59.999Z',
        '2027-01-01T00:00:00.001Z',
        'hour',
        '2026-12-31T23:00:00Z',
        '2027-01-01T01:00:00Z',
      ],
      ['2024-02-28T12:00:00Z', '2024-03-01T00:00:00Z', 'day', '2024-02-28T00:00:00Z', '2024-03-01T00:00:00Z'],
      ['2026-12-31T12:00:00Z', undefined, 'day', '2026-12-31T00:00:00Z', '2027-01-02T00:00:00Z'],
      [undefined, '2026-12-31T12:00:00Z', 'hour', '2026-12-30T12:00:00Z', '2026-12-31T12:00:00Z'],
      // Nothing has to have happened by then.
      ['2027-01-01T00:30:00Z', '2028-01-01T00:00:00Z', 'day', '2027-01-01T00:00:00Z', '2028-01-01T00:00:00Z'],
    ]
  for (const [from, to, step, first, end] of cases) {
    it(`is every ${step} that lies in it, from ${from} to ${to}`, () => {
      const asked = { from: from && at(from), to: to && at(to), step }
      const span = wholeSteps({ ...asked, from: asked.from || undefined, to: asked.to || undefined }, now)
      assert.deepEqual(span, { from: minuteOf(first), to: minuteOf(end) })
    })
  }

  it('is refused when it is none, too long, or too long ago', () => {
    const refused: [from: number | undefined, to: number | undefined, step: Step, message: RegExp][] = [
      [now, now, 'hour', /begin before it ends/],
      [now, now - 1, 'minute', /begin before it ends/],
      [now + 3_600_000, undefined, 'hour', /begin before it ends/],
      [0, undefined, 'day', /1500 steps/],
      [now - (MOST_POINTS + 1) * 60_000, now, 'minute', /1500 steps/],
      [now - 9 * 86_400_000, now - 8.5 * 86_400_000, 'minute', /8 days: ask for that time by hour/],
      [9_999_999_999_000, undefined, 'hour', /begin before it ends/],
      [0, 9_999_999_999_000, 'day', /1500 steps/],
    ]
    for (const [from, to, step, message] of refused) {
      assert.throws(() => wholeSteps({ from, to, step }, now), { error: 'body_invalid', message })
    }
    assert.deepEqual(wholeSteps({ from: 0, to: 60_000, step: 'hour' }, now), { from: 0, to: 60 })
  })
})

describe('a report', () => {
  it('has a point for every step, and a sum for every key, format and outcome, the largest first', async (t) => {
    const { store } = await emptyStore(t)
    const last = minuteOf('2026-12-31T23:59:00Z')
    const one = { environmentId: 'env_1', keyId: 'kid_1', format: 'user', outcome: 'issued', count: 1 }
    const counts: UsageCount[] = [
      { ...one, minute: last - 60 },
      { ...one, minute: last, count: 4 },
      { ...one, minute: last, outcome: 'rate_limited', count: 2 },
      { ...one, minute: last + 1, keyId: 'kid_2', count: 8 },
      { ...one, minute: last, environmentId: 'env_2', count: 100 },
    ]
    await store.usage.add({ chain: 'c', after: 0, upTo: 1, at: last, counts, sketches: [] })
    const span = { from: last - 60, to: last + 2 }
    const question = { environmentId: 'env_1', step: 'minute', ...span } as const
    const byMinute = await reportUsage(store, question)
    assert.equal(byMinute.points.length, 62)
    assert.deepEqual(byMinute.points.at(-2), { minute: last, issued: 4, refused: 2, subjects: undefined })
    const [largest, second, third] = byMinute.sums.map(({ keyId, outcome, count }) => [keyId, outcome, count])
    assert.deepEqual(
      [largest, second, third],
      [
        ['kid_2', 'issued', 8],
        ['kid_1', 'issued', 5],
        ['kid_1', 'rate_limited', 2],
      ],
    )
    const day = { environmentId: 'env_1', step: 'day', from: last - 1_439, to: last + 1_441 } as const
    const byDay = await reportUsage(store, day)
    assert.deepEqual(
      byDay.points.map(({ issued, refused, subjects }) => [issued, refused, subjects]),
      [
        [5, 2, 0],
        [8, 0, 0],
      ],
    )
    const ofKey = await reportUsage(store, { ...day, keyId: 'kid_1' })
    assert.deepEqual(
      ofKey.points.map(({ issued, subjects }) => [issued, subjects]),
      [
        [5, undefined],
        [0, undefined],
      ],
    )
    assert.deepEqual(showUsage(day, byDay).points[1], {
      at: Date.UTC(2027, 0, 1) / 1000,
      issued: 8,
      refused: 0,
      subjects: 0,
    })
  })

  it('leaves out what would make it too long, and says so', async (t) => {
    const { store } = await emptyStore(t)
    const counts = Array.from({ length: MOST_SUMS + 7 }, (_, index) => ({
      environmentId: 'env_1',
      keyId: `kid_${index}`,
      format: 'user',
      outcome: 'issued',
      count: index + 1,
      minute: 0,
    }))
    await store.usage.add({ chain: 'c', after: 0, upTo: 1, at: 0, counts, sketches: [] })
    const { sums, sumsLeftOut } = await reportUsage(store, {
      environmentId: 'env_1',
      step: 'hour',
      from: 0,
      to: 60,
    })
    assert.deepEqual([sums.length, sums[0]?.count, sumsLeftOut], [MOST_SUMS, MOST_SUMS + 7, 7])
  })
})
