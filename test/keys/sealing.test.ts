import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSealer, SealError } from '../../src/keys/sealing.ts'
import { systemSeams } from '../../src/seams.ts'

const { random } = systemSeams
const key = random(32)
const secret = Buffer.from('a secret of some length')

describe('sealing', () => {
  const sealer = createSealer(key, random)

  it('gives back what was sealed', () => {
    assert.deepEqual(sealer.open(sealer.seal(secret, 'row/1'), 'row/1'), secret)
  })

  it('hides it, and differently every time', () => {
    const [a, b] = [sealer.seal(secret, 'row/1'), sealer.seal(secret, 'row/1')]
    assert.notDeepEqual(a, b)
    assert.equal(Buffer.from(a).includes('secret'), false)
  })

  it('does not open in another row', () => {
    const sealed = sealer.seal(secret, 'row/1')
    assert.throws(() => sealer.open(sealed, 'row/2'), SealError)
  })

  it('does not open under another key', () => {
    const sealed = sealer.seal(secret, 'row/1')
    assert.throws(() => createSealer(random(32), random).open(sealed, 'row/1'), SealError)
  })

  it('notices every changed bit and every missing byte', () => {
    const sealed = sealer.seal(secret, 'row/1')
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Buffer.from(sealed)
      changed[index] = (changed[index] ?? 0) ^ 1
      assert.throws(() => sealer.open(changed, 'row/1'), SealError)
      assert.throws(() => sealer.open(sealed.subarray(0, index), 'row/1'), SealError)
    }
  })
})
