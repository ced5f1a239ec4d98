import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { ADMIN, setup } from '../helpers/admin.ts'

async function setupMetrics(t: TestContext) {
  const service = await setup(t)
  const { server, call, id, seams, follower } = service
  const authorization = `Bearer ${ADMIN}`
  const scrape = () => server.inject({ url: '/metrics', headers: { authorization } })
  /** Each sample of a family by its name and labels. */
  const samples = async (family = 'jeton_keys') => {
    await follower.refresh()
    const lines = (await scrape()).body.split('\n').filter((line) => line.startsWith(family))
    return Object.fromEntries(lines.map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]))
  }
  const make = async (days: number | undefined, kind = 'secret') => {
    const end = days === undefined ? {} : { expiresAt: Math.floor(seams.now() / 1000) + days * 86_400 }
    return (
      await call('POST', `/v1/environments/${id}/keys`, { kind, name: `canary ${kind} ${days}`, ...end })
    ).body.key.id
  }
  return { ...service, scrape, samples, make }
}

describe('metrics', () => {
  it('are for the admin key alone', async (t) => {
    const { server, made, scrape } = await setupMetrics(t)
    for (const [key, status] of [
      [undefined, 401],
      [made.secretKey, 403],
      [made.publishableKey, 403],
    ] as const) {
      const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
      const reply = await server.inject({ url: '/metrics', headers })
      assert.equal(reply.statusCode, status)
      assert.equal(reply.body.includes('jeton_'), false)
    }
    const reply = await scrape()
    assert.equal(reply.statusCode, 200)
    assert.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    assert.match(reply.body, /^# HELP jeton_keys .+\n# TYPE jeton_keys gauge$/m)
  })

  it('say how many keys live, were exposed and end soon', async (t) => {
    const { samples, make, call, made, seams } = await setupMetrics(t)
    const none = {
      'jeton_keys{kind="secret"}': 1,
      'jeton_keys{kind="publishable"}': 1,
      jeton_keys_exposed: 0,
      'jeton_keys_ending{within="day"}': 0,
      'jeton_keys_ending{within="week"}': 0,
    }
    assert.deepEqual(await samples(), none)
    await make(6)
    await make(6, 'publishable')
    await call('POST', `/v1/keys/${made.keyId}/report-leak`, { action: 'rotate', graceSeconds: 3_600 })
    const later = {
      'jeton_keys{kind="secret"}': 3,
      'jeton_keys{kind="publishable"}': 2,
      jeton_keys_exposed: 1,
      jeton_keys_next_end_timestamp_seconds: Math.floor(seams.now() / 1000) + 3_600,
      'jeton_keys_ending{within="day"}': 1,
      'jeton_keys_ending{within="week"}': 3,
    }
    assert.deepEqual(await samples(), later)
    seams.advance(7 * 86_400_000)
    assert.deepEqual(await samples(), none)
  })

  it('count nothing of an archived environment', async (t) => {
    const { samples, call, id } = await setupMetrics(t)
    await call('POST', `/v1/environments/${id}/archive`)
    assert.deepEqual(Object.values(await samples()), [0, 0, 0, 0, 0])
  })

  it('tell where the journal ends, in one series that is replaced', async (t) => {
    const { samples, records, post } = await setupMetrics(t)
    const instance = records[0]?.instance
    const heads: string[] = []
    for (const n of [1, 2]) {
      const { jeton_journal_head_number, ...found } = await samples('jeton_journal_head')
      assert.equal(jeton_journal_head_number, n)
      heads.push(...Object.keys(found))
      await post('/v1/tokens', { peerId: 'a' })
    }
    assert.deepEqual(heads, [
      `jeton_journal_head_info{instance="${instance}",sha256="${records[1]?.prev}"}`,
      `jeton_journal_head_info{instance="${instance}",sha256="${records[2]?.prev}"}`,
    ])
    const { jeton_journal_available, jeton_journal_backlog_bytes } = await samples('jeton_journal')
    assert.deepEqual([jeton_journal_available, jeton_journal_backlog_bytes], [1, 0])
  })

  it('hold nothing that a caller chose, and are each service’s own', async (t) => {
    const { scrape, make, id, made } = await setupMetrics(t)
    const key = await make(1)
    const other = await setupMetrics(t)
    const text = (await scrape()).body
    for (const chosen of ['canary', key, id, made.keyId]) assert.equal(text.includes(chosen), false)
    assert.equal((await other.samples())['jeton_keys{kind="secret"}'], 1)
  })
})
