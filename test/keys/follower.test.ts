import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFollower } from '../../src/keys/follower.ts'
import type { Store } from '../../src/store/store.ts'
import { drivenSeams } from '../helpers/seams.ts'

type Read = Store['readChanges']

function setup(readChanges: Read) {
  const seams = drivenSeams()
  const follower = createFollower({ store: { readChanges }, seams, staleKeysSeconds: 30 })
  return { seams, follower }
}

const admin = (digest: string) => ({ adminKeys: [{ digest, hint: '', createdAt: 0 }] })

describe('the follower', () => {
  it('never lets a slow read put an old state back', async () => {
    const { promise: slow, resolve: endSlow } = Promise.withResolvers<void>()
    const reads: number[] = []
    const { follower } = setup(async (since, take) => {
      reads.push(since)
      if (reads.length === 1) await slow
      take(admin(`state ${reads.length}`))
      return reads.length
    })
    let seen = ''
    follower.tell(({ adminKeys = [] }) => {
      seen = adminKeys[0]?.digest ?? ''
    })
    const both = [follower.refresh(), follower.refresh()]
    assert.deepEqual(reads, [])
    endSlow()
    await Promise.all(both)
    assert.deepEqual(reads, [0, 1])
    assert.equal(seen, 'state 2')
    assert.equal(follower.revision(), 2)
  })

  it('counts its knowledge from when a read began, since a change may have come right behind it', async () => {
    const { seams, follower } = setup(async () => {
      seams.advance(800)
      return 1
    })
    assert.equal(follower.knowledge(), 'stale')
    await follower.refresh()
    assert.equal(follower.knowledge(), 'fresh')
    seams.advance(201)
    assert.equal(follower.knowledge(), 'behind')
    seams.advance(29_000)
    assert.equal(follower.knowledge(), 'stale')
  })

  it('reads from the same revision again after a read that failed', async () => {
    const reads: number[] = []
    const { follower } = setup(async (since) => {
      reads.push(since)
      if (reads.length === 2) throw new Error('disk')
      return 7
    })
    await follower.refresh()
    await assert.rejects(follower.refresh(), /disk/)
    await follower.refresh()
    assert.deepEqual(reads, [0, 7, 7])
  })

  it('catches up behind a change without a word about a read that fails', async () => {
    const reads: number[] = []
    const { follower } = setup(async (since) => {
      reads.push(since)
      if (reads.length === 1) throw new Error('disk')
      return 7
    })
    await follower.catchUp()
    assert.equal(follower.knowledge(), 'stale')
    await follower.catchUp()
    assert.deepEqual([reads, follower.revision(), follower.knowledge()], [[0, 0], 7, 'fresh'])
  })

  it('says with each read which record it was told of last, so that the store can tell whether that is still there', async () => {
    const record = { revision: 7, n: 1, sha256: 'seven' }
    const known: unknown[] = []
    const { follower } = setup(async (since, take, last) => {
      known.push(last)
      if (since === 0) take({ recordHead: record })
      if (known.length === 2) take({ environments: [] })
      if (known.length === 3) take({ anew: true, recordHead: undefined })
      return 7
    })
    for (let read = 0; read < 4; read += 1) await follower.refresh()
    assert.deepEqual(known, [undefined, record, record, undefined])
  })

  it('tells everything or nothing: nobody may come late', async () => {
    const { follower } = setup(async () => 1)
    await follower.refresh()
    assert.throws(() => follower.tell(() => undefined), /before the first/)
  })
})
