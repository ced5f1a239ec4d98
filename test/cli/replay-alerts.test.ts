import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { courseOf, FIRST_MINUTE } from '../alerts/courses.ts'
import { install } from '../helpers/installation.ts'
import { issuance } from '../helpers/journal.ts'
import { seededChance } from '../helpers/seams.ts'
import { countUsage } from '../helpers/usage-counts.ts'

const SEED = 1
const SINCE = ['--since', '2026-11-22T01:00:00Z', '--until', '2026-11-22T05:00:00Z']

/** Five hours: one key is steady, another one leaks in the third. */
function recorded(t: TestContext, environmentId: string) {
  const chance = seededChance(t, SEED)
  const leak = (minute: number) => (minute >= 150 && minute < 170 ? 300 : 2)
  return [
    ...courseOf(() => 20, 300, chance, { environmentId, keyId: 'kid_steady' }),
    ...courseOf(leak, 300, chance, { environmentId, keyId: 'kid_leak' }),
  ].toSorted((one, other) => one.minute - other.minute)
}

describe('jeton usage replay-alerts', () => {
  it('shows from usage what would have rung, of one environment or of all', async (t) => {
    const { jeton, use, environment } = await install(t)
    await use(({ store }) => countUsage(store, recorded(t, environment.id)))
    const text = await jeton(['usage', 'replay-alerts', ...SINCE])
    assert.deepEqual([text.stderr, text.code], ['', 0])
    const [headings, row, ...rest] = text.stdout.trimEnd().split('\n')
    assert.match(
      headings ?? '',
      /^minute \(UTC\) +environment +key +issued +median +peak +closed \(UTC\) +why$/,
    )
    assert.match(
      row ?? '',
      new RegExp(
        `^2026-11-22T02:30:00Z {2}${environment.id} {2}kid_leak +\\d{3} +2 +\\d{3} +2026-11-22T02:54:00Z {2}calm$`,
      ),
    )
    assert.deepEqual(rest, [])
    const only = ['--environment', environment.id, '--json']
    const { alerts } = JSON.parse((await jeton(['usage', 'replay-alerts', ...SINCE, ...only])).stdout)
    assert.equal(alerts.length, 1)
    const { issued, peak, ...alert } = alerts[0]
    assert.deepEqual(alert, {
      environmentId: environment.id,
      keyId: 'kid_leak',
      minute: '2026-11-22T02:30:00Z',
      median: 2,
      closedMinute: '2026-11-22T02:54:00Z',
      why: 'calm',
    })
    assert.ok(issued > 250 && peak >= issued)
    const before = ['--since', '2026-11-22T01:00:00Z', '--until', '2026-11-22T02:00:00Z']
    assert.equal((await jeton(['usage', 'replay-alerts', ...before])).stdout, 'Nothing would have rung.\n')
    const other = await jeton(['usage', 'replay-alerts', '--environment', 'env_0000000000000000'])
    assert.deepEqual([other.code, /no such environment/i.test(other.stderr)], [1, true])
  })

  it('shows it from a file, too, whose first hour is history unless told otherwise', async (t) => {
    const { jeton, elsewhere } = await install(t)
    const path = join(elsewhere, 'traffic.jsonl')
    const minutes = recorded(t, 'env_elsewhere')
    writeFileSync(path, `${minutes.map((one) => JSON.stringify(one)).join('\n')}\n\n`)
    const replay = async (...args: string[]) =>
      JSON.parse((await jeton(['usage', 'replay-alerts', '--file', path, '--json', ...args])).stdout).alerts
    assert.deepEqual(
      (await replay()).map(({ keyId, minute }: Record<string, unknown>) => [keyId, minute]),
      [['kid_leak', '2026-11-22T02:30:00Z']],
    )
    assert.deepEqual(await replay('--environment', 'env_other'), [])
    assert.deepEqual(await replay('--until', '2026-11-22T02:30:00Z'), [])
    assert.equal((await replay('--since', '2026-11-22T02:40:00Z'))[0].minute, '2026-11-22T02:40:00Z')
  })

  it('takes records of the journal as they stand in it, of which issued tokens count', async (t) => {
    const { jeton, elsewhere } = await install(t)
    const path = join(elsewhere, 'journal.jsonl')
    const at = (minute: number, second: number) =>
      new Date((FIRST_MINUTE + minute) * 60_000 + second * 1_000).toISOString()
    const record = (type: string, minute: number, second: number) =>
      JSON.stringify({ v: 1, at: at(minute, second), prev: '0', n: 1, type, ...issuance })
    const lines = [
      record('opened', 0, 0),
      record('issued', 0, 1),
      ...Array.from({ length: 50 }, (_, second) => record('issued', 90, second)),
      ...Array.from({ length: 60 }, (_, second) => record('refused', 95, second)),
    ]
    writeFileSync(path, lines.join('\n'))
    const { stdout } = await jeton(['usage', 'replay-alerts', '--file', path, '--json'])
    assert.deepEqual(JSON.parse(stdout).alerts, [
      {
        environmentId: issuance.environmentId,
        keyId: issuance.keyId,
        minute: '2026-11-22T01:30:00Z',
        issued: 50,
        median: 0,
        peak: 50,
        closedMinute: null,
        why: null,
      },
    ])
  })

  it('names a line that it cannot take, and a file that it cannot read', async (t) => {
    const { jeton, elsewhere } = await install(t)
    const path = join(elsewhere, 'traffic.jsonl')
    const good = '{"environmentId":"env_1","keyId":"kid_1","minute":29000000,"issued":1}'
    const earlier = good.replace('29000000', '28000000')
    for (const [text, fault] of [
      [`${good}\n{"minute":1}\n`, /^Line 2 is no/],
      [`${good}\n{"environmentId":"env_1","keyId":"kid_1","minute":29000000,"issued":-1}`, /^Line 2 is no/],
      ['minute,issued\n', /^Line 1 is no/],
      [`${good}\n${earlier}`, /in the order of their minutes/],
    ] as const) {
      writeFileSync(path, text)
      const { code, stderr } = await jeton(['usage', 'replay-alerts', '--file', path])
      assert.deepEqual([code, fault.test(stderr)], [1, true], stderr)
    }
    const gone = await jeton(['usage', 'replay-alerts', '--file', join(elsewhere, 'gone')])
    assert.deepEqual([gone.code, /^--file cannot be read: ENOENT/.test(gone.stderr)], [1, true])
  })
})
