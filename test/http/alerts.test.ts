import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { sign } from '../../src/alerts/webhook.ts'
import { readRecord } from '../../src/journal/record.ts'
import { ADMIN, setup } from '../helpers/admin.ts'
import { type Answer, startReceiver, status } from '../helpers/receiver.ts'
import { START_MS } from '../helpers/seams.ts'

const SECRET = Buffer.alloc(32, 7)

/** A service that tells a receiver of spikes, and what mints so many tokens with one key. */
async function watched(t: TestContext, answer: Answer = status(204)) {
  const receiver = await startReceiver(t, answer)
  const service = await setup(t, {
    ALERT_WEBHOOK_URL: `http://user:canary-password@127.0.0.1:${receiver.port}/canary-path`,
    ALERT_WEBHOOK_SECRET: `whsec_${SECRET.toString('base64')}`,
    ALERT_WEBHOOK_ALLOW_PRIVATE: 'true',
  })
  const { post, usage, alerts, server } = service
  let subject = 0
  const mint = async (count: number) => {
    for (let minted = 0; minted < count; minted += 1) {
      subject += 1
      assert.equal((await post('/auth/token', { userId: `user-${subject}`, name: 'Alice' })).statusCode, 200)
    }
    await usage.flush()
    await alerts.work()
  }
  const metric = async (name: string) => {
    const { body } = await server.inject({ url: '/metrics', headers: { authorization: `Bearer ${ADMIN}` } })
    return Number(
      body
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    )
  }
  return { ...service, ...receiver, mint, metric }
}

describe('a spike of issuance', () => {
  it('is told to the log, the metrics, the journal and the receiver, once', async (t) => {
    const { mint, metric, lines, records, received, made, seams } = await watched(t)
    await mint(49)
    assert.deepEqual([await metric('jeton_issuance_spikes'), received.length], [0, 0])
    await mint(1)
    await mint(30)
    const keyId = made.keyId
    const told = lines.filter(({ msg }) => msg === 'issuance spikes')
    assert.deepEqual(
      told.map(({ level, environmentId, keyId, issued, median, minute }) => [
        level,
        environmentId,
        keyId,
        issued,
        median,
        minute,
      ]),
      [['warn', made.environment.id, keyId, 50, 0, '2026-11-22T12:00:00Z']],
    )
    const recorded = records.filter(({ type }) => type === 'alert')
    assert.equal(recorded.length, 1)
    const [{ v, at, prev, n, type, ...record } = {}] = recorded
    const { alertId } = record
    const facts = {
      alertId,
      environmentId: made.environment.id,
      keyId,
      minute: '2026-11-22T12:00:00Z',
      issued: 50,
      median: 0,
    }
    assert.deepEqual(record, { event: 'raised', ...facts })
    assert.ok(readRecord(JSON.stringify(recorded[0])))
    const [first] = received
    const body = first?.body ?? ''
    assert.equal(received.length, 1)
    assert.deepEqual(JSON.parse(body), {
      type: 'spike.raised',
      timestamp: new Date(START_MS).toISOString(),
      data: facts,
    })
    const id = String(first?.headers['webhook-id'])
    assert.equal(id, `${alertId}_raised`)
    assert.equal(first?.headers['webhook-signature'], sign(SECRET, id, START_MS / 1000, body))
    assert.deepEqual(
      [
        await metric('jeton_issuance_spikes'),
        await metric('jeton_issuance_spikes_raised_total'),
        await metric('jeton_alert_deliveries_total{result="delivered"}'),
        await metric('jeton_alert_deliveries_total{result="failed"}'),
      ],
      [1, 1, 1, 0],
    )

    seams.advance(7 * 60_000)
    await mint(1)
    assert.equal(received.length, 2)
    const { data, type: closing } = JSON.parse(received[1]?.body ?? '')
    assert.deepEqual([closing, data.alertId, data.why, data.peak], ['spike.closed', alertId, 'calm', 80])
    assert.equal(records.filter(({ event }) => event === 'closed').length, 1)
    assert.equal(lines.filter(({ msg }) => msg === 'issuance spike is over').length, 1)
    assert.equal(await metric('jeton_issuance_spikes'), 0)
  })

  it('costs no token when the receiver is down, and leaves nothing of its URL or secret anywhere', async (t) => {
    const { mint, metric, lines, records, server, received } = await watched(t, status(500))
    await mint(60)
    assert.equal(received.length, 1)
    assert.equal(await metric('jeton_alert_deliveries_total{result="failed"}'), 1)
    const metrics = await server.inject({ url: '/metrics', headers: { authorization: `Bearer ${ADMIN}` } })
    const everything = JSON.stringify([lines, records]) + metrics.body
    for (const canary of ['canary-path', 'canary-password', SECRET.toString('base64')]) {
      assert.equal(everything.includes(canary), false, canary)
    }
    assert.equal(lines.filter(({ msg }) => msg === 'alert is not delivered yet').length, 1)
  })
})
