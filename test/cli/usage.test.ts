import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { install } from '../helpers/installation.ts'

const HOUR_MINUTES = 60

/** An installation with usage of the last hours, and the command line on it. */
async function used(t: TestContext) {
  const { jeton, use, environment, keyId } = await install(t)
  const now = Math.floor(Date.now() / 60_000)
  const one = { environmentId: environment.id, keyId, format: 'user', outcome: 'issued' }
  const counts = [
    { ...one, minute: now, count: 8 },
    { ...one, minute: now - HOUR_MINUTES, count: 4 },
    { ...one, minute: now, outcome: 'rate_limited', count: 3 },
  ]
  await use(({ store }) => store.usage.add({ chain: 'c', after: 0, upTo: 1, at: now, counts, sketches: [] }))
  // The hour may be over when the command runs.
  const until = String((now + 1) * 60)
  const usage = (...args: string[]) =>
    jeton(['usage', '--environment', environment.id, '--until', until, ...args])
  return { usage, jeton, keyId }
}

describe('jeton usage', () => {
  it('shows what was issued as a line of blocks, and counts as tables', async (t) => {
    const { usage, keyId } = await used(t)
    const { code, stdout } = await usage()
    assert.equal(code, 0)
    assert.match(stdout, /^issued {2}▁{22}▅█ {2}at most 8 per hour\n/)
    assert.match(
      stdout,
      /^hour \(UTC\) {9}issued {2}refused\n\d{4}-\d\d-\d\dT\d\d:00Z {2}4 {7}0\n.+Z {2}8 {7}3\n\n/m,
    )
    assert.match(stdout, new RegExp(`^${keyId} {2}user {4}issued {8}12$`, 'm'))
    assert.match(stdout, new RegExp(`^${keyId} {2}user {4}rate_limited {2}3$`, 'm'))
    const byDay = await usage('--step', 'day', '--since', '3d')
    assert.match(byDay.stdout, /^day \(UTC\) {3}issued {2}refused {2}subjects\n\d{4}-\d\d-\d\d {2}/m)
  })

  it('prints the same as the admin API for programs', async (t) => {
    const { usage, keyId } = await used(t)
    const { stdout } = await usage('--json', '--step', 'minute', '--since', '2h')
    const { step, points, sums, sumsLeftOut } = JSON.parse(stdout)
    assert.deepEqual([step, points.at(-1).issued, sumsLeftOut], ['minute', 8, 0])
    assert.deepEqual(Object.keys(points[0]), ['at', 'issued', 'refused', 'subjects'])
    assert.deepEqual(sums[0], { keyId, format: 'user', outcome: 'issued', count: 12 })
    const other = await usage('--json', '--key', 'kid_0000000000000000')
    assert.deepEqual(JSON.parse(other.stdout).sums, [])
  })

  it('refuses what it cannot answer, in one line', async (t) => {
    const { usage, jeton } = await used(t)
    const cases: [args: string[], message: RegExp][] = [
      [['--since', 'yesterday'], /^--since takes unix seconds/],
      [['--until', '2h', '--since', '1h'], /^The span must begin before it ends/],
      [['--step', 'minute', '--since', '30d'], /^The span has more than 1500 steps/],
      [['--step', 'week'], /^error: option '--step <step>' argument 'week' is invalid/],
    ]
    for (const [args, message] of cases) {
      const { code, stderr } = await usage(...args)
      assert.equal(code, 1)
      assert.match(stderr, message)
    }
    const none = await jeton(['usage', '--environment', 'env_0000000000000000'])
    assert.deepEqual([none.code, none.stderr], [1, 'There is no such environment.\n'])
  })
})
