import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMemoryLimiter } from '../../src/limits/memory.ts'
import { bytesInUse } from '../helpers/memory.ts'
import { inFull } from '../helpers/scale.ts'
import { drivenSeams } from '../helpers/seams.ts'
import { limiterContract } from './contract.ts'

limiterContract('in memory', async () => {
  const seams = drivenSeams()
  return { limiter: createMemoryLimiter(seams), advance: seams.advance }
})

describe('the memory of the limiter', () => {
  const SUBJECTS = inFull(1_000_000, 200_000)
  const limit = { count: 10, windowSeconds: 60 }

  it(`is at most 200 bytes a subject at ${SUBJECTS} subjects, and is freed when their windows are over`, async () => {
    const seams = drivenSeams()
    const limiter = createMemoryLimiter(seams)
    const take = (id: string) => limiter.take([{ policy: 'subject', id, limit }])
    const before = bytesInUse()
    for (let subject = 0; subject < SUBJECTS; subject += 1) take(`env_0123456789abcdef:a-user-${subject}`)
    const perSubject = (bytesInUse() - before) / SUBJECTS
    assert.ok(perSubject <= 200, `${perSubject} bytes`)
    seams.advance(60_001)
    take('a')
    seams.advance(60_001)
    take('a')
    // The collector gives large arrays back in a thread of its own, some turns after it has let them go.
    let left = bytesInUse() - before
    for (let turn = 0; turn < 50 && left >= 5_000_000; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      left = bytesInUse() - before
    }
    assert.ok(left < 5_000_000, `${left} bytes are left`)
  })
})
