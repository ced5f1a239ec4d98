import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build } from '../helpers/app.ts'

describe('the log', () => {
  it('holds no key, token, header, query or body, on success or failure', async (t) => {
    const { post, server, lines, records, made } = await build(t, { LOG_LEVEL: 'trace' })
    const canary = 'canary-7f3a'
    const token = (await post('/v1/tokens', { peerId: 'a', metadata: { x: canary } })).json().token
    const headers = { 'x-api-key': made.secretKey, cookie: canary, referer: canary, 'user-agent': canary }
    await post(`/v1/tokens?token=${canary}`, { peerId: 'b' }, headers)
    await post(`/v1/tokens?token=${canary}`, { peerId: 'b', [canary]: 1 }, headers)
    await post(`/v1/tokens?token=${canary}`, `{"${canary}`, headers)
    await post(`/nothing?token=${canary}`, {}, headers)
    await post('/v1/tokens', {}, { ...headers, 'content-type': canary })
    await post('/v1/tokens', {}, { 'x-api-key': `${made.secretKey}${canary}` })
    await post('/v1/tokens', {}, { 'x-api-key': made.publishableKey })
    await post('/v1/tokens', {}, { ...headers, origin: canary })
    await server.inject({ url: `/%zz?${canary}` })
    const log = JSON.stringify(lines)
    const journal = JSON.stringify(records)
    const secrets = [token, token.split('.')[2], made.secretKey, made.secretKey.slice(8, 40)]
    for (const secret of [canary, ...secrets]) assert.equal(log.includes(secret), false, secret)
    // The user agent is in the record, as it is meant to be.
    for (const secret of secrets) assert.equal(journal.includes(secret), false, secret)
    assert.ok(lines.length > 3)
  })
})
