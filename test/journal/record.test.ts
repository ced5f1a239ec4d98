import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { alerted, chain, closed, GENESIS, readRecord, sha256 } from '../../src/journal/record.ts'

describe('a chain of records', () => {
  it('dates each by its own moment, and names the one before it', () => {
    const moments = [0, 0, 1, 0, 1_764_400_000_123, 1_764_400_000_123, 1_764_400_000_124]
    let head = GENESIS
    for (const [index, at] of moments.entries()) {
      const { text, head: next } = chain(head, closed(at))
      const { prev, n, at: written } = readRecord(text.trimEnd()) ?? assert.fail(text)
      assert.deepEqual(
        { prev, n, written },
        { prev: head.sha256, n: index + 1, written: new Date(at).toISOString() },
      )
      assert.equal(next.sha256, sha256(text.slice(0, -1)))
      head = next
    }
  })

  it('escapes what a caller chose', () => {
    const environmentId = 'a"\\\n\u2028é'
    const { text } = chain(
      GENESIS,
      alerted(0, {
        event: 'raised',
        alertId: 'b',
        environmentId,
        keyId: undefined,
        minute: 'm',
        issued: 1,
        median: 0,
      }),
    )
    assert.equal(text.indexOf('\n'), text.length - 1)
    assert.equal(readRecord(text.trimEnd())?.environmentId, environmentId)
  })
})
