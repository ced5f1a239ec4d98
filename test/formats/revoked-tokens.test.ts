import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Revocation } from '../../src/domain/revocation.ts'
import { revokedUpTo } from '../../src/formats/revocation.ts'
import { createRevokedTokens } from '../../src/formats/revoked-tokens.ts'

const of = (before: number, revision: number): Revocation => ({
  environmentId: 'env_1',
  kind: 'subject',
  value: 'alice',
  before,
  until: before + 100,
  revision,
})
const token = (issuedAt: number) => ({ jti: 'a', subject: 'alice', keyId: 'kid_1', issuedAt })

describe('revoked tokens', () => {
  it('stay revoked when an older revocation of the same comes later, as from a process that is behind', () => {
    const revoked = createRevokedTokens('env_1')
    revoked.put(of(1_000, 5))
    revoked.put(of(900, 4))
    assert.equal(revoked.refusing(token(1_000)), 'subject')
    assert.equal(revoked.version(), 5)
    assert.deepEqual(revoked.since(0).revocations, [of(1_000, 5)])
    revoked.forget(1_050)
    assert.equal(revoked.refusing(token(1_000)), 'subject')
  })
})

describe('a revocation of now', () => {
  const cases: [number | undefined, number][] = [
    [undefined, 1_000],
    [0, 1_000],
    [998, 1_000],
    [999, 1_000],
    [1_000, 1_001],
    [1_005, 1_006],
    [1_008, 1_009],
    [1_009, 1_009],
  ]
  for (const [known, reaches] of cases) {
    it(`reaches ${reaches} at 1000 when one reaches ${known} already`, () => {
      assert.equal(revokedUpTo(1_000, known), reaches)
    })
  }
})
