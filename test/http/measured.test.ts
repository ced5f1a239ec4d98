import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import packageJson from '../../package.json' with { type: 'json' }
import { user } from '../../src/formats/user.ts'
import { ADMIN, setup } from '../helpers/admin.ts'
import { samplesOf } from '../helpers/metrics.ts'
import { temporaryFolder } from '../helpers/process.ts'

async function measured(t: TestContext, env: Record<string, string> = {}) {
  const service = await setup(t, env)
  const text = async () => {
    const reply = await service.server.inject({
      url: '/metrics',
      headers: { authorization: `Bearer ${ADMIN}` },
    })
    return reply.body
  }
  const samples = async () => samplesOf(await text())
  /** What an action adds to each series. */
  const added = async (act: () => Promise<unknown>) => {
    const before = await samples()
    await act()
    const after = await samples()
    return (name: string) => (after[name] ?? Number.NaN) - (before[name] ?? 0)
  }
  return { ...service, text, samples, added }
}

const USER = { userId: 'alice', name: 'Alice' }

describe('what is measured', () => {
  it('counts tokens by format, and refusals by format and code, without a living key as well', async (t) => {
    const { post, added, made, server, environments, follower } = await measured(t)
    const turn = { urls: ['turn:turn.example.com'], secret: 'a-secret-of-coturn' }
    await environments.update(made.environment.id, { turn })
    await follower.refresh()
    const sum = await added(async () => {
      await post('/auth/token', USER)
      const headers = { authorization: `Bearer ${made.secretKey}` }
      await server.inject({ url: '/v1/turn/credentials?subject=alice', headers })
      await post('/v1/client/tokens', {})
      await post('/v1/client/tokens', {})
      await post('/v1/tokens', { peerId: 7 })
      await post('/v1/tokens', {}, { authorization: 'Bearer sk_live_typo' })
      await post('/v1/peer/tokens', '{')
      await post('/v1/environments', {})
    })
    const issued = ['user', 'channels', 'client', 'peer', 'turn'].map((format) =>
      sum(`jeton_tokens_issued_total{format="${format}"}`),
    )
    assert.deepEqual(issued, [1, 0, 2, 0, 1])
    const refused = (format: string, code: string) =>
      sum(`jeton_token_refusals_total{format="${format}",code="${code}"}`)
    assert.deepEqual(
      [
        refused('channels', 'body_invalid'),
        refused('channels', 'key_malformed'),
        refused('peer', 'body_invalid'),
        refused('user', 'body_invalid'),
      ],
      [1, 1, 1, 0],
    )
    assert.equal(sum('jeton_errors_total{code="body_invalid"}'), 2)
    assert.equal(sum('jeton_errors_total{code="key_kind_wrong"}'), 1)
  })

  it('times requests by route, method and class of status, and all that match none as one', async (t) => {
    const { post, server, added, id } = await measured(t)
    const sum = await added(async () => {
      await post('/v1/tokens', { peerId: 'a' })
      await post('//v1//tokens', { peerId: 'a' })
      await post('/v1/tokens?peerId=mallory', {})
      for (const url of ['/mallory', '/v1/mallory?a=b', '/%zz']) await server.inject({ url })
      await server.inject({ url: `/environments/${id}/.well-known/jwks.json` })
    })
    const count = (labels: string) => sum(`jeton_http_request_duration_seconds_count{${labels}}`)
    assert.equal(count('method="POST",route="/v1/tokens",status="2xx"'), 2)
    assert.equal(count('method="POST",route="/v1/tokens",status="4xx"'), 1)
    assert.equal(count('method="any",route="unmatched",status="4xx"'), 2)
    const jwks = 'method="GET",route="/environments/:id/.well-known/jwks.json",status="2xx"'
    assert.equal(count(jwks), 1)
    assert.equal(sum(`jeton_http_request_duration_seconds_bucket{le="+Inf",${jwks}}`), 1)
    assert.ok(sum(`jeton_http_request_duration_seconds_sum{${jwks}}`) > 0)
  })

  it('counts the decisions of the limiter and failed authentications', async (t) => {
    const { post, added } = await measured(t, {
      RATE_LIMIT_SUBJECT: '2/1m',
      RATE_LIMIT_KEY: '3/1m',
      RATE_LIMIT_AUTH_FAILURES: '1/1m',
    })
    const sum = await added(async () => {
      for (let index = 0; index < 3; index += 1) await post('/auth/token', USER)
      for (let index = 0; index < 3; index += 1) await post('/v1/client/tokens', {})
      for (let index = 0; index < 3; index += 1) {
        await post('/v1/client/tokens', {}, { authorization: 'Bearer sk_live_typo' })
      }
    })
    const decisions = (result: string) =>
      sum(`jeton_limiter_decisions_total{result="${result}",counted="local"}`)
    assert.deepEqual(
      [decisions('admitted'), decisions('refused_by_subject'), decisions('refused_by_key')],
      [3, 1, 2],
    )
    assert.equal(sum('jeton_authentication_failures_total{answer="refused"}'), 1)
    assert.equal(sum('jeton_authentication_failures_total{answer="limited"}'), 2)
  })

  it('counts the decisions of the gate by code, and the revocations that are alive', async (t) => {
    const { post, added, samples, seams } = await measured(t)
    const token = (await post('/auth/token', USER)).json().token
    const sum = await added(async () => {
      await post('/v1/verify', { token })
      await post('/v1/verify', { token: `${token.slice(0, -6)}AAAAAA` })
      await post('/v1/verify', { publishableKey: 'pk_live_nobody' })
      await post('/v1/revocations', { subject: 'alice' })
      await post('/v1/revocations', { jti: 'one' })
      await post('/v1/verify', { token })
    })
    const decisions = ['allowed', 'signature_invalid', 'publishable_key_unknown', 'token_revoked'].map(
      (code) => sum(`jeton_gate_decisions_total{code="${code}"}`),
    )
    assert.deepEqual(decisions, [1, 1, 1, 1])
    assert.equal(sum('jeton_revocations'), 2)
    seams.advance(86_400_000 * 2)
    assert.equal((await samples()).jeton_revocations, 0)
  })

  it('tells how long a batch of records took to be safe, and how many they were', async (t) => {
    const { post, added, samples } = await measured(t, {
      JOURNAL: 'file',
      DATA_DIR: await temporaryFolder(t),
    })
    const sum = await added(async () => {
      await Promise.all([1, 2, 3].map(() => post('/v1/client/tokens', {})))
    })
    const batches = sum('jeton_journal_sync_duration_seconds_count')
    assert.ok(batches >= 1 && batches <= 3)
    assert.equal(sum('jeton_journal_batch_records_count'), batches)
    assert.equal(sum('jeton_journal_batch_records_sum'), 3)
    assert.equal((await samples()).jeton_journal_available, 1)
  })

  it('tells the revision that is known, and when the next key ends', async (t) => {
    const { call, samples, id, follower, seams } = await measured(t)
    const before = await samples()
    assert.equal(before.jeton_keys_next_end_timestamp_seconds, undefined)
    assert.deepEqual(
      [before.jeton_store_stale, before.jeton_can_sign, before.jeton_store_revision],
      [0, 1, follower.revision()],
    )
    const now = Math.floor(seams.now() / 1000)
    for (const days of [3, 2, 9]) {
      await call('POST', `/v1/environments/${id}/keys`, { kind: 'secret', expiresAt: now + days * 86_400 })
    }
    const after = await samples()
    assert.equal(after.jeton_keys_next_end_timestamp_seconds, now + 2 * 86_400)
    assert.equal(after.jeton_store_revision, (before.jeton_store_revision ?? 0) + 3)
    seams.advance(10 * 86_400_000)
    assert.equal((await samples()).jeton_keys_next_end_timestamp_seconds, undefined)
  })

  it('tells what runs, and how the process is', async (t) => {
    const { samples } = await measured(t)
    const found = await samples()
    const build = `jeton_build_info{version="${packageJson.version}",node="${process.versions.node}"}`
    assert.equal(found[build], 1)
    for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes']) {
      assert.ok((found[name] ?? 0) > 0, name)
    }
    assert.ok((found.process_start_time_seconds ?? 0) > 1_700_000_000)
    assert.ok('jeton_event_loop_delay_seconds_count' in found)
  })

  it('has as many series after tokens for 10,000 subjects as before', async (t) => {
    const { server, post, text, mint, keyring, made } = await measured(t, { RATE_LIMIT_KEY: '100000/1m' })
    const authorization = `Bearer ${made.secretKey}`
    const chosen = (index: number) => `subject-${index}`
    const calls = [
      (index: number) =>
        server.inject({
          method: 'POST',
          url: `/auth/token?${chosen(index)}`,
          headers: { authorization, 'user-agent': chosen(index), 'x-request-id': chosen(index) },
          payload: { userId: chosen(index), name: chosen(index) },
        }),
      (index: number) => post(`/auth/token?${chosen(index)}`, { userId: { [chosen(index)]: index } }),
      (index: number) => server.inject({ url: `/${chosen(index)}?${chosen(index)}` }),
    ]
    for (const call of calls) await call(0)
    await text()
    const before = Object.keys(samplesOf(await text())).map(withoutHash)
    for (let index = 1; index <= 100; index += 1) for (const call of calls) await call(index)
    // The rest without HTTP, which takes ten times as long.
    const caller = {
      ...keyring.authenticate({ text: made.secretKey, keyId: undefined }),
      address: '192.0.2.1',
      endUserAddress: undefined,
      userAgent: undefined,
      requestId: 'r',
      asked: {},
    }
    for (let index = 101; index <= 10_000; index += 1) {
      await mint.issue(user, { userId: chosen(index), name: chosen(index), avatar: undefined }, caller)
    }
    const found = await text()
    assert.deepEqual(Object.keys(samplesOf(found)).map(withoutHash), before)
    assert.equal(found.includes(chosen(1).slice(0, -1)), false)
    assert.equal(samplesOf(found)['jeton_tokens_issued_total{format="user"}'], 10_001)
  })
})

// That of the journal's head is another one with every record, and always one.
function withoutHash(series: string): string {
  return series.replace(/sha256="[^"]*"/, '')
}
