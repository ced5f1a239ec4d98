import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAuthFailures, MOST_NETWORKS } from '../../src/limits/auth-failures.ts'
import { drivenSeams } from '../helpers/seams.ts'

const limit = { count: 3, windowSeconds: 60 }

describe('failed authentications of a network', () => {
  it('are limited after the allowance, until the window ends', () => {
    const seams = drivenSeams()
    const failures = createAuthFailures(limit, seams)
    for (let failure = 1; failure <= 3; failure += 1) assert.equal(failures.count('10.0.0.1').limited, false)
    seams.advance(10_000)
    assert.deepEqual(failures.count('10.0.0.1'), { limited: true, failures: 4, retryAfterSeconds: 50 })
    assert.equal(failures.count('10.0.0.2').limited, false)
    seams.advance(50_000)
    assert.deepEqual(failures.count('10.0.0.1'), { limited: false, failures: 1, retryAfterSeconds: 60 })
  })

  it('are remembered of so many networks, the oldest dropped', () => {
    const failures = createAuthFailures({ count: 1, windowSeconds: 60 }, drivenSeams())
    for (let network = 0; network < MOST_NETWORKS; network += 1) failures.count(`n${network}`)
    assert.equal(failures.count('n0').limited, true)
    failures.count('one more')
    assert.equal(failures.count('n1').limited, true)
    assert.equal(failures.count('n0').limited, false)
  })
})
