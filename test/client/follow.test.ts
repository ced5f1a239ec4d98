import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { follow } from '../../src/client/follow.ts'
import { VerifierError } from '../../src/client/verifier-error.ts'

const unavailable = { code: 'revocations_unavailable', message: 'away' } as const
const stale = { code: 'revocations_stale', message: 'too old' } as const

/**
 * The pauses between the attempts, in seconds, rounded up to a tenth.
 *
 * @param outcomes what the attempts end with, of which the last is what all further ones end with
 */
async function pausesAfter(
  t: TestContext,
  offlineSeconds: number,
  outcomes: readonly Error[],
  count: number,
): Promise<number[]> {
  t.mock.timers.reset()
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const closing = new AbortController()
  const attempts: number[] = []
  let tenths = 0
  const { ended } = follow({
    async ask() {
      attempts.push(tenths)
      throw outcomes[attempts.length - 1] ?? outcomes.at(-1)
    },
    offlineSeconds,
    stale,
    unavailable,
    onError: () => undefined,
    monotonic: () => tenths * 100,
    signal: closing.signal,
  })
  for (; attempts.length <= count && tenths < 10_000; tenths += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    t.mock.timers.tick(100)
  }
  closing.abort()
  await ended
  return attempts.slice(1, count + 1).map((at, index) => (at - (attempts[index] ?? 0)) / 10)
}

/** Whether each pause is within a half of its longest and that, with what the rounding adds. */
function assertWithin(pauses: readonly number[], longest: readonly number[], least = 0.5): void {
  assert.equal(pauses.length, longest.length)
  for (const [index, seconds] of pauses.entries()) {
    const most = longest[index] ?? 0
    assert.ok(seconds >= most * least && seconds <= most + 0.2, `${pauses} is not ${longest}`)
  }
}

describe('what is followed', () => {
  const away = new Error('away')
  const refused = new VerifierError('revocations_refused', 'no')

  it('is asked again after pauses that grow, while it is away', async (t) => {
    assertWithin(await pausesAfter(t, 300, [away], 7), [1, 2, 4, 8, 16, 30, 30])
  })

  it('is asked again as soon when it refuses, and seldom once it has refused five times', async (t) => {
    const pauses = await pausesAfter(t, 300, [refused], 6)
    assertWithin(pauses.slice(0, 4), [1, 2, 4, 8])
    assertWithin(pauses.slice(4), [60, 60], 1)
  })

  it('has to refuse five times in a row for that', async (t) => {
    const outcomes = [refused, refused, refused, refused, away, refused]
    assertWithin(await pausesAfter(t, 300, outcomes, 6), [1, 2, 4, 8, 16, 30])
  })

  for (const [offlineSeconds, longest] of [
    [10, 2],
    [60, 12],
  ] as const) {
    it(`is never left alone for more than a fifth of ${offlineSeconds} s after a failure`, async (t) => {
      for (const outcome of [away, refused]) {
        const pauses = await pausesAfter(t, offlineSeconds, [outcome], 8)
        assert.equal(pauses.length, 8)
        assert.ok(Math.max(...pauses) <= longest + 0.2, String(pauses))
      }
    })
  }
})
