import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { giveSpareMemoryBack } from '../src/spare-memory.ts'

describe('spare memory', () => {
  it('goes back to the system, and what is in use stays', async () => {
    const kept = Array.from({ length: 1_000 }, (_, index) => ({ index }))
    const before = process.memoryUsage().heapTotal
    let spare = Array.from({ length: 500_000 }, (_, index) => ({ index, text: `spare-${index}` }))
    const grown = process.memoryUsage().heapTotal - before
    assert.ok(grown > 20_000_000, `${grown} bytes for ${spare.length}`)
    spare = []
    await giveSpareMemoryBack()
    const left = process.memoryUsage().heapTotal - before
    assert.ok(left < grown / 2, `${left} of ${grown} bytes are left`)
    assert.equal(kept.at(-1)?.index, 999)
  })
})
