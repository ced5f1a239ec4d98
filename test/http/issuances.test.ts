import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setup } from '../helpers/admin.ts'
import { temporaryFolder } from '../helpers/process.ts'

describe('GET /v1/environments/{id}/issuances', () => {
  it('tells what was issued, the newest first, page by page, and whose journals it read', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const { call, post, id, made, seams, follower } = await setup(t, { JOURNAL: 'file', DATA_DIR })
    const other = await call('POST', '/v1/environments', { name: 'Other' })
    await follower.refresh()
    await post(
      '/v1/tokens',
      { peerId: 'alice', channels: ['a'] },
      { 'x-api-key': made.secretKey, 'user-agent': 'b/1' },
    )
    await post('/v1/tokens', { peerId: 'mallory' }, { 'x-api-key': other.body.secretKey })
    await post('/v1/tokens', { peerId: 'x'.repeat(300) })
    await post(
      '/auth/token',
      { userId: 'bob', name: 'Bob' },
      { 'x-api-key': made.secretKey, 'x-end-user-ip': '::1' },
    )
    const path = `/v1/environments/${id}/issuances`
    const first = await call('GET', `${path}?limit=1`)
    assert.equal(first.status, 200)
    assert.deepEqual(
      first.body.issuances.map(({ subject, endUserAddress }: Record<string, unknown>) => [
        subject,
        endUserAddress,
      ]),
      [['bob', '::1']],
    )
    const second = await call('GET', `${path}?limit=1&cursor=${first.body.nextCursor}`)
    const [{ jti, requestId, userAgent, ...rest }] = second.body.issuances
    assert.match(jti, /^[\w-]{22}$/)
    assert.match(requestId, /^[\w-]{36}$/)
    assert.equal(userAgent, 'b/1')
    const issuedAt = seams.now() / 1000
    assert.deepEqual(rest, {
      instance: first.body.instances[0],
      keyId: made.keyId,
      format: 'channels',
      subject: 'alice',
      granted: { channels: ['a'], permissions: ['publish', 'subscribe', 'presence'] },
      ttlSeconds: 3_600,
      expiresAt: issuedAt + 3_600,
      issuedAt,
      address: '127.0.0.1',
      endUserAddress: null,
    })
    assert.deepEqual(
      [first.body.instances.length, second.body.issuances.length, second.body.nextCursor],
      [1, 1, null],
    )
  })

  it('is for the admin key, for environments that there are, and for its own cursors', async (t) => {
    const { call, id, made } = await setup(t, { DATA_DIR: await temporaryFolder(t) })
    const path = `/v1/environments/${id}/issuances`
    assert.deepEqual((await call('GET', path)).body, { issuances: [], instances: [], nextCursor: null })
    const cases: [string, string | undefined, string][] = [
      [path, made.secretKey, 'key_kind_wrong'],
      ['/v1/environments/env_0000000000000000/issuances', undefined, 'not_found'],
      [`${path}?cursor=x`, undefined, 'body_invalid'],
      [`${path}?limit=101`, undefined, 'body_invalid'],
      [`${path}?since=1`, undefined, 'body_invalid'],
    ]
    for (const [url, key, error] of cases) {
      const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
      assert.equal((await call('GET', url, undefined, headers)).body.error, error, url)
    }
  })
})
