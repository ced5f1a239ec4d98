import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { USES, type Use } from '../../src/domain/grant.ts'
import { build } from '../helpers/app.ts'

describe('POST /v1/revocations', () => {
  const cases: [uses: Use[], status: number][] = [
    [['revoke'], 200],
    [['mint', 'revoke'], 200],
    [['verify'], 403],
    [['mint', 'verify'], 403],
    [[...USES], 200],
  ]
  for (const [uses, status] of cases) {
    it(`answers a key for ${uses.join(' and ')} with ${status}`, async (t) => {
      const { keyWith, post } = await build(t)
      const reply = await post('/v1/revocations', { subject: 'alice' }, await keyWith({ uses }))
      assert.equal(reply.statusCode, status, reply.body)
    })
  }
})
