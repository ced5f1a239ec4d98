import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createOutbox } from '../../src/alerts/outbox.ts'
import { createWebhook, type WebhookTarget } from '../../src/alerts/webhook.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { type Answer, startReceiver, status } from '../helpers/receiver.ts'
import { drivenSeams } from '../helpers/seams.ts'

const URL_SECRET = 'canary-of-the-url'

/** A notice in a database, a receiver, and as many processes that send as are asked for. */
async function setup(t: TestContext, answer: Answer, target: Partial<WebhookTarget> = {}) {
  const seams = { ...drivenSeams(), random: () => new Uint8Array([255]) }
  const store = openSqlite(':memory:')
  t.after(() => store.close())
  await store.prepare()
  const { received, port } = await startReceiver(t, answer)
  const told: [level: string, fields: object, message: string][] = []
  const tell = (level: string) => (fields: object, message: string) => told.push([level, fields, message])
  const log = { info: tell('info'), warn: tell('warn'), error: tell('error') }
  const process = () =>
    createOutbox({
      alerts: store.alerts,
      webhook: createWebhook({
        target: {
          url: `http://jeton:${URL_SECRET}@127.0.0.1:${port}/${URL_SECRET}`,
          secrets: [Buffer.alloc(32)],
          allowPrivate: true,
          ...target,
        },
        lookup: () => Promise.reject(new Error('No name was to be looked up')),
        now: seams.now,
      }),
      seams,
      log,
    })
  const alert = { id: 'alr_1', environmentId: 'env_1', keyId: 'kid_1', minute: 1, issued: 99, median: 1 }
  await store.alerts.raise(alert, { id: 'alr_1_raised', body: '{}', createdAt: seams.now() })
  return { store, seams, received, told, process }
}

const down: Answer = (response, n) => status(n <= 3 ? 500 : 204)(response, n)

describe('a notice', () => {
  it('is sent once by whichever process comes first', async (t) => {
    const { process, received, told } = await setup(t, status(204))
    const processes = [process(), process(), process()]
    await Promise.all(processes.map((one) => one.deliverDue()))
    await processes[0]?.deliverDue()
    assert.equal(received.length, 1)
    assert.deepEqual(told, [['info', { noticeId: 'alr_1_raised', attempts: 1 }, 'alert delivered']])
    const delivered = processes.map((one) => one.deliveries().delivered)
    assert.deepEqual(delivered.toSorted(), [0, 0, 1])
  })

  it('that fails is sent again after five seconds, then fifteen and so on, by any process', async (t) => {
    const { process, received, seams, told } = await setup(t, down)
    const [one, other] = [process(), process()]
    await one.deliverDue()
    for (const [wait, n] of [
      [4_999, 1],
      [1, 2],
      [14_999, 2],
      [1, 3],
      [44_999, 3],
      [1, 4],
      [9_999_999, 4],
    ] as const) {
      seams.advance(wait)
      await other.deliverDue()
      assert.equal(received.length, n)
    }
    assert.deepEqual(
      [one.deliveries().failed, other.deliveries().failed, other.deliveries().delivered],
      [1, 2, 1],
    )
    const ids = received.map(({ headers }) => headers['webhook-id'])
    assert.deepEqual(new Set(ids), new Set(['alr_1_raised']))
    assert.equal(new Set(received.map(({ headers }) => headers['webhook-timestamp'])).size, 4)
    assert.deepEqual(told[0], [
      'warn',
      { noticeId: 'alr_1_raised', attempts: 1, reason: 'status_500', result: 'failed' },
      'alert is not delivered yet',
    ])
  })

  it('of a process that was killed while it sent is sent by another one a minute later', async (t) => {
    const { store, process, received, seams } = await setup(t, status(204))
    // As much as a process has done that dies now.
    await store.alerts.takeNotice(seams.now(), seams.now() + 60_000)
    const other = process()
    seams.advance(59_999)
    await other.deliverDue()
    assert.equal(received.length, 0)
    seams.advance(1)
    await other.deliverDue()
    assert.equal(received.length, 1)
  })

  it('waits as long as the receiver asks, and ends when it wants no more', async (t) => {
    const answers = [status(503, { 'retry-after': '600' }), status(410)]
    const { process, received, seams, told } = await setup(t, (response, n) => answers[n - 1]?.(response, n))
    const one = process()
    await one.deliverDue()
    seams.advance(599_999)
    await one.deliverDue()
    assert.equal(received.length, 1)
    seams.advance(1)
    await one.deliverDue()
    seams.advance(9_999_999)
    await one.deliverDue()
    assert.equal(received.length, 2)
    assert.deepEqual(told.at(-1)?.slice(0, 2), [
      'error',
      { noticeId: 'alr_1_raised', attempts: 2, reason: 'status_410' },
    ])
  })

  it('is given up after eight hours, with a line in the log', async (t) => {
    const { process, received, seams, told } = await setup(t, status(500))
    const one = process()
    for (let looks = 0; looks < 24 * 12; looks += 1) {
      await one.deliverDue()
      seams.advance(300_000)
    }
    assert.deepEqual(told.at(-1)?.[2], 'alert cannot be delivered, and is given up')
    assert.ok(received.length > 10 && received.length < 20, String(received.length))
  })

  it('for an address that is not allowed is not sent, and that is counted apart', async (t) => {
    const { process, received } = await setup(t, status(204), { allowPrivate: false })
    const one = process()
    await one.deliverDue()
    assert.deepEqual([received.length, one.deliveries()], [0, { delivered: 0, failed: 0, refused: 1 }])
  })

  it('leaves nothing of the URL in the log, whatever happens', async (t) => {
    const { process, told, seams } = await setup(t, down)
    const one = process()
    for (let tries = 0; tries < 4; tries += 1) {
      await one.deliverDue()
      seams.advance(3_600_000)
    }
    assert.equal(told.length, 4)
    assert.doesNotMatch(JSON.stringify(told), new RegExp(`${URL_SECRET}|127\\.0`))
  })
})
