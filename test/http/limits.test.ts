import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build } from '../helpers/app.ts'

const asUser = (userId: string) => ({ userId, name: 'A' })

describe('the limit of a subject', () => {
  it('is one count over all mint routes', async (t) => {
    const { post } = await build(t)
    for (let taken = 0; taken < 5; taken += 1) {
      assert.equal((await post('/auth/token', asUser('alice'))).statusCode, 200)
      assert.equal((await post('/v1/tokens', { peerId: 'alice' })).statusCode, 200)
    }
    assert.equal((await post('/auth/token', asUser('alice'))).statusCode, 429)
    assert.equal((await post('/v1/tokens', { sub: 'alice' })).statusCode, 429)
    assert.equal((await post('/auth/token', asUser('bob'))).statusCode, 200)
  })

  it('says where it stands, in the fields of the IETF draft', async (t) => {
    const { post, seams } = await build(t)
    const first = await post('/auth/token', asUser('alice'))
    assert.equal(first.headers['ratelimit-policy'], '"subject";q=10;w=60, "key";q=6000;w=60')
    assert.equal(first.headers.ratelimit, '"subject";r=9;t=60, "key";r=5999;t=60')
    seams.advance(20_000)
    for (let taken = 0; taken < 9; taken += 1) await post('/auth/token', asUser('alice'))
    const refused = await post('/auth/token', asUser('alice'))
    assert.equal(refused.statusCode, 429)
    assert.equal(refused.headers['retry-after'], '40')
    assert.equal(refused.headers.ratelimit, '"subject";r=0;t=40')
    assert.equal(refused.json().error, 'rate_limited')
    seams.advance(40_000)
    assert.equal((await post('/auth/token', asUser('alice'))).statusCode, 200)
  })

  it('is not shared between environments', async (t) => {
    const { post, environments, follower } = await build(t)
    const other = await environments.create('Other')
    await follower.refresh()
    for (let taken = 0; taken < 10; taken += 1) await post('/auth/token', asUser('alice'))
    assert.equal((await post('/auth/token', asUser('alice'))).statusCode, 429)
    assert.equal(
      (await post('/auth/token', asUser('alice'), { 'x-api-key': other.secretKey })).statusCode,
      200,
    )
  })

  it('is what the configuration says', async (t) => {
    const { post } = await build(t, { RATE_LIMIT_SUBJECT: '2/10s' })
    await post('/auth/token', asUser('alice'))
    await post('/auth/token', asUser('alice'))
    const refused = await post('/auth/token', asUser('alice'))
    assert.equal(refused.headers['ratelimit-policy'], '"subject";q=2;w=10')
    assert.equal(refused.headers['retry-after'], '10')
  })
})

describe('the limit of a secret key', () => {
  it('holds over all of its subjects and costs the refused one nothing', async (t) => {
    const { post, seams } = await build(t, { RATE_LIMIT_KEY: '3/1m' })
    for (const name of ['a', 'b', 'c'])
      assert.equal((await post('/auth/token', asUser(name))).statusCode, 200)
    const refused = await post('/auth/token', asUser('d'))
    assert.equal(refused.statusCode, 429)
    assert.equal(refused.headers.ratelimit, '"subject";r=9;t=60, "key";r=0;t=80')
    assert.match(refused.json().detail, /secret key had its 3/)
    seams.advance(Number(refused.headers['retry-after']) * 1_000)
    const admitted = await post('/auth/token', asUser('d'))
    assert.match(String(admitted.headers.ratelimit), /^"subject";r=9;/)
  })
})
