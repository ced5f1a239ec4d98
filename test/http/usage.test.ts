import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ADMIN, setup } from '../helpers/admin.ts'
import { eventually } from '../helpers/journal.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { START_MS } from '../helpers/seams.ts'

/** A server that has counted what was there when it started: until then it answers with what is counted. */
async function setupCaughtUp(t: TestContext, env: Record<string, string>) {
  const service = await setup(t, env)
  await eventually(() => service.usage.standing().writtenAt !== undefined, 'usage is counted')
  return service
}

describe('GET /v1/environments/{id}/usage', () => {
  it('is described with an example of whatever can be asked, and takes it', async (t) => {
    const { call, id } = await setup(t)
    const { paths } = (await call('GET', '/openapi.json')).body
    const { parameters } = paths['/v1/environments/{id}/usage'].get
    const examples = new Map<string, string>()
    for (const { in: place, name, example, schema } of parameters) {
      if (place === 'query') examples.set(name, example ?? schema.default)
    }
    assert.deepEqual([...examples.keys()], ['from', 'to', 'step', 'key'])
    // One moment stands for both; a span has to be longer.
    const query = new URLSearchParams([...examples].filter(([name]) => name !== 'to'))
    const { status } = await call('GET', `/v1/environments/${id}/usage?${query}`)
    assert.equal(status, 200, String(query))
  })

  it('tells what was issued and refused, by step, and for how many subjects a day', async (t) => {
    const { call, post, id, made, seams, follower } = await setupCaughtUp(t, { RATE_LIMIT_SUBJECT: '2/1m' })
    const tokenFor = (userId: string) => post('/auth/token', { userId, name: 'x' })
    for (const user of ['alice', 'alice', 'alice', 'bob']) await tokenFor(user)
    await post('/v1/client/tokens', {})
    await post('/v1/tokens', { peerId: 'alice', channels: [''] })
    // Who has no living key is nobody's usage.
    await post('/auth/token', { userId: 'eve', name: 'x' }, { authorization: 'Bearer sk_live_x' })
    seams.advance(86_400_000)
    await follower.refresh()
    await tokenFor('alice')
    const path = `/v1/environments/${id}/usage`
    const byDay = await call('GET', `${path}?step=day&from=${START_MS / 1000}&to=2026-11-24T00:00:00Z`)
    assert.equal(byDay.status, 200)
    const midnight = Date.UTC(2026, 10, 22) / 1000
    const sum = (format: string, outcome: string, count: number) => ({
      keyId: made.keyId,
      format,
      outcome,
      count,
    })
    assert.deepEqual(byDay.body, {
      step: 'day',
      from: midnight,
      to: midnight + 2 * 86_400,
      points: [
        { at: midnight, issued: 4, refused: 2, subjects: 2 },
        { at: midnight + 86_400, issued: 1, refused: 0, subjects: 1 },
      ],
      sums: [
        sum('user', 'issued', 4),
        sum('channels', 'body_invalid', 1),
        sum('client', 'issued', 1),
        sum('user', 'rate_limited', 1),
      ],
      sumsLeftOut: 0,
    })
    const usual = await call('GET', path)
    assert.deepEqual([usual.body.step, usual.body.points.length], ['hour', 24])
    assert.deepEqual(usual.body.points.at(-1), {
      at: midnight + 129_600,
      issued: 1,
      refused: 0,
      subjects: null,
    })
    const minutes = await call('GET', `${path}?step=minute&from=2026-11-23T12:59:00%2B01:00`)
    assert.deepEqual(
      minutes.body.points.map(({ issued }: { issued: number }) => issued),
      [0, 1],
    )
    const ofKey = await call('GET', `${path}?key=kid_0000000000000000`)
    assert.deepEqual([ofKey.body.sums, ofKey.body.points.at(-1).issued], [[], 0])
  })

  it('tells what the journal holds up to now, and of no other environment', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const { call, post, id, follower, server } = await setupCaughtUp(t, { JOURNAL: 'file', DATA_DIR })
    const other = await call('POST', '/v1/environments', { name: 'Other' })
    await follower.refresh()
    await post('/auth/token', { userId: 'bob', name: 'x' }, { 'x-api-key': other.body.secretKey })
    await post('/auth/token', { userId: 'alice', name: 'x' })
    const issuedBy = async (environment: string) => {
      const { body } = await call('GET', `/v1/environments/${environment}/usage?step=day`)
      return [body.points.at(-1).issued, body.sums.length]
    }
    assert.deepEqual(await issuedBy(id), [1, 1])
    assert.deepEqual(await issuedBy(other.body.environment.id), [1, 1])
    const metrics = await server.inject({ url: '/metrics', headers: { authorization: `Bearer ${ADMIN}` } })
    assert.match(metrics.body, /^jeton_usage_unwritten_counts 0$/m)
    assert.match(metrics.body, new RegExp(`^jeton_usage_written_timestamp_seconds ${START_MS / 1000}$`, 'm'))
  })

  it('is for the admin key, for environments that there are, and for spans that make sense', async (t) => {
    const { call, id, made } = await setup(t)
    const path = `/v1/environments/${id}/usage`
    const cases: [string, string | undefined, string][] = [
      [path, made.secretKey, 'key_kind_wrong'],
      ['/v1/environments/env_0000000000000000/usage', undefined, 'not_found'],
      ["/v1/environments/'%20or%201=1--/usage", undefined, 'not_found'],
    ]
    for (const [url, key, error] of cases) {
      const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
      assert.equal((await call('GET', url, undefined, headers)).body.error, error, url)
    }
    const spans = [
      'step=week',
      'step=minute&step=hour',
      'from=yesterday',
      'from=2026-11-22',
      'from=2026-11-22T12:00:00',
      'from=-1',
      'from=1e9',
      'from=99999999999',
      `from=${'9'.repeat(5_000)}`,
      'from=2026-02-30T00:00:00Z',
      'from=2000000000',
      'from=0',
      'step=day&from=0',
      'step=day&from=0&to=9999999999',
      'from=1795348800&to=1795348800',
      'from=1795348801&to=1795348800',
      'step=minute&from=1700000000&to=1700000060',
      'key=',
      `key=${'k'.repeat(65)}`,
      'since=1795348800',
      'from[]=1',
    ]
    for (const span of spans) {
      const { status, body } = await call('GET', `${path}?${span}`)
      assert.deepEqual([status, body.error], [400, 'body_invalid'], span)
    }
    const empty = await call('GET', `${path}?key=`)
    assert.deepEqual([empty.status, empty.body.detail], [400, 'key must not be empty.'])
    assert.equal(
      (await call('GET', `${path}?key=${encodeURIComponent("'; drop table usage_minute --")}`)).status,
      200,
    )
  })
})
