import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createReplay, type RecordedMinute } from '../../src/alerts/replay.ts'
import { seededChance } from '../helpers/seams.ts'
import { courseOf, DAY_MINUTES, FIRST_MINUTE, type Shape, wave } from './courses.ts'

/** Noise can ring by chance, if seldom; so it is the same noise every time. */
const SEED = 1

/** What rings in a course: when, counted from its beginning, and when and why it was closed. */
function ringsIn(recorded: readonly RecordedMinute[], from = 0) {
  const replay = createReplay(FIRST_MINUTE + from)
  for (const minute of recorded.toSorted((one, other) => one.minute - other.minute)) replay.take(minute)
  return replay.end().map(({ keyId, minute, closedMinute, why, ...rest }) => ({
    ...rest,
    keyId,
    at: minute - FIRST_MINUTE,
    closed: closedMinute === undefined ? undefined : closedMinute - FIRST_MINUTE,
    why,
  }))
}

/** Four noisy courses of a shape, the first hour being known already. */
function rings(t: TestContext, shape: Shape, minutes: number) {
  const chance = seededChance(t, SEED)
  return Array.from({ length: 4 }, () => ringsIn(courseOf(shape, minutes, chance), 60))
}

describe('a course', () => {
  const quiet: [string, Shape, number][] = [
    ['that is steady and small', () => 8, 2 * DAY_MINUTES],
    ['that is steady around the least that can ring', () => 50, 2 * DAY_MINUTES],
    ['that is steady and large', () => 900, DAY_MINUTES],
    ['that goes up and down with the day', wave(5, 400), 3 * DAY_MINUTES],
    ['that is nearly silent at night', wave(0.2, 900), 3 * DAY_MINUTES],
    ['that doubles in two hours, again and again', (minute) => 10 * 2 ** (minute / 120), 12 * 60],
    [
      'that grows by half each week',
      (minute) => wave(5, 100)(minute) * 1.5 ** (minute / (7 * DAY_MINUTES)),
      9 * DAY_MINUTES,
    ],
    [
      'in which an hour comes back after an hour without',
      (minute) => (minute % 120 < 60 ? 20 : 0),
      DAY_MINUTES,
    ],
  ]
  for (const [what, shape, minutes] of quiet) {
    it(`${what} does not ring`, (t) => {
      assert.deepEqual(rings(t, shape, minutes).flat(), [])
    })
  }

  it('of a launch rings once, within its first minutes, and closes when the new level has stayed for two hours', (t) => {
    const launch = (minute: number) => (minute < 600 ? 6 : 6 + 294 * Math.min(1, (minute - 599) / 10))
    for (const found of rings(t, launch, DAY_MINUTES)) {
      assert.equal(found.length, 1)
      const [{ at = 0, issued = 0, peak = 0, closed, why, keyId } = {}] = found
      assert.ok(at >= 600 && at <= 603, `rang at ${at}`)
      assert.ok(issued >= 50 && peak > 300)
      assert.deepEqual([closed, why, keyId], [at + 120, 'new_level', 'kid_1'])
    }
  })

  it('of a first launch rings, since nothing was usual before', (t) => {
    const found = ringsIn(courseOf((minute) => (minute < 100 ? 0 : 200), 300, seededChance(t, SEED)))
    assert.deepEqual(
      found.map(({ at, median, why }) => [at, median, why]),
      [[100, 0, 'new_level']],
    )
  })

  it('of a key that leaks at night rings once, in its first minute, and closes when it is calm', (t) => {
    const night = 25 * 60
    const leak = (minute: number) => wave(2, 300)(minute) + (minute >= night && minute < night + 45 ? 500 : 0)
    for (const found of rings(t, leak, 2 * DAY_MINUTES)) {
      assert.deepEqual(
        found.map(({ at, closed, why, keyId }) => [at, closed, why, keyId]),
        [[night, night + 49, 'calm', 'kid_1']],
      )
    }
  })

  it('of a leak that goes on stays open beyond the hour that would make it usual', (t) => {
    const leak = (minute: number) => (minute >= 120 && minute < 230 ? 300 : 4)
    const [found] = rings(t, leak, 400)
    assert.deepEqual(
      found?.map(({ at, closed, why }) => [at, closed, why]),
      [[120, 234, 'calm']],
    )
  })

  it('that goes back and forth over the edge rings once', () => {
    const edge = Array.from({ length: 60 }, (_, index) => ({
      environmentId: 'env_1',
      keyId: 'kid_1',
      minute: FIRST_MINUTE + index,
      issued: index % 2 === 0 ? 49 : 12,
    }))
    const wild = edge.map(({ issued, ...rest }) => ({ ...rest, issued: issued === 49 ? 400 : issued }))
    assert.deepEqual(ringsIn(edge), [])
    assert.deepEqual(
      ringsIn(wild).map(({ at, closed }) => [at, closed]),
      [[0, undefined]],
    )
  })
})

describe('an environment', () => {
  const key = (index: number) => ({ environmentId: 'env_1', keyId: `kid_${index}` })

  it('whose keys spike together, though none does alone, rings as a whole', (t) => {
    const chance = seededChance(t, SEED)
    const spread = (minute: number) => (minute >= 120 && minute < 150 ? 20 : 0.5)
    const found = ringsIn(
      Array.from({ length: 8 }, (_, index) => courseOf(spread, 240, chance, key(index))).flat(),
      60,
    )
    assert.deepEqual(
      found.map(({ keyId, at, closed, why }) => [keyId, at, closed, why]),
      [['', 120, 154, 'calm']],
    )
  })

  it('rings not beside a key of its own that rings', (t) => {
    const chance = seededChance(t, SEED)
    const found = ringsIn(
      [
        ...courseOf((minute) => (minute >= 120 && minute < 150 ? 400 : 1), 240, chance, key(1)),
        ...courseOf(() => 10, 240, chance, key(2)),
      ],
      60,
    )
    assert.deepEqual(
      found.map(({ keyId, at }) => [keyId, at]),
      [['kid_1', 120]],
    )
  })

  it('with many keys that ring is told of as a whole beyond the tenth', (t) => {
    const chance = seededChance(t, SEED)
    const launch = (minute: number) => (minute >= 120 && minute < 150 ? 200 : 0.1)
    const found = ringsIn(
      Array.from({ length: 40 }, (_, index) => courseOf(launch, 240, chance, key(index))).flat(),
      60,
    )
    const whole = found.filter(({ keyId }) => keyId === '')
    assert.equal(found.length, 11)
    assert.deepEqual(
      whole.map(({ at, closed, why }) => [at, closed, why]),
      [[120, 154, 'calm']],
    )
  })

  it('does not ring for what another environment issues', (t) => {
    const chance = seededChance(t, SEED)
    const found = ringsIn(
      [
        ...courseOf((minute) => (minute >= 120 ? 400 : 1), 200, chance, { environmentId: 'env_2' }),
        ...courseOf(() => 10, 200, chance),
      ],
      60,
    )
    assert.deepEqual(
      found.map(({ environmentId, at }) => [environmentId, at]),
      [['env_2', 120]],
    )
  })
})
