import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createEndingKeys } from '../../src/keys/ending-keys.ts'
import { createLog } from '../../src/log.ts'
import { setup } from '../helpers/admin.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

async function setupEnds(t: TestContext) {
  const service = await setup(t)
  const { keyring, follower, seams, call, id } = service
  const lines: Record<string, unknown>[] = []
  const log = createLog('info', { write: (line) => lines.push(JSON.parse(line)) })
  const ending = createEndingKeys({ keyring, now: seams.now, log })
  const make = async (lifeMs: number, kind = 'secret') => {
    const expiresAt = Math.floor((seams.now() + lifeMs) / 1000)
    return (await call('POST', `/v1/environments/${id}/keys`, { kind, expiresAt })).body.key.id
  }
  /** Whom a look warns of. */
  const warnings = async () => {
    await follower.refresh()
    const before = lines.length
    ending.warn()
    return lines.slice(before).map(({ keyId, within }) => [keyId, within])
  }
  const pass = (ms: number) => seams.advance(ms)
  return { ...service, make, warnings, pass, lines }
}

describe('the end of a key', () => {
  it('is warned of once a week before and once a day before', async (t) => {
    const { make, warnings, pass, lines, id, seams } = await setupEnds(t)
    const key = await make(8 * DAY_MS)
    assert.deepEqual(await warnings(), [])
    pass(DAY_MS)
    assert.deepEqual(await warnings(), [[key, 'week']])
    assert.deepEqual(await warnings(), [])
    pass(6 * DAY_MS - 1)
    assert.deepEqual(await warnings(), [])
    pass(1)
    assert.deepEqual(await warnings(), [[key, 'day']])
    const { time, ...line } = lines.at(-1) ?? {}
    assert.ok(time)
    assert.deepEqual(line, {
      level: 'warn',
      keyId: key,
      environmentId: id,
      kind: 'secret',
      within: 'day',
      expiresAt: Math.floor(seams.now() / 1000) + 86_400,
      msg: 'key ends soon',
    })
    pass(DAY_MS)
    assert.deepEqual(await warnings(), [])
  })

  it('is warned of when it is the end of a grace', async (t) => {
    const { call, made, warnings, lines } = await setupEnds(t)
    const { key } = (await call('POST', `/v1/keys/${made.keyId}/rotate`, { graceSeconds: 3_600 })).body
    assert.deepEqual(await warnings(), [[made.keyId, 'day']])
    assert.equal(lines.at(-1)?.successorId, key.id)
  })

  it('is warned of anew when it is pushed out and comes near again', async (t) => {
    const { call, make, warnings, pass, seams } = await setupEnds(t)
    const key = await make(6 * DAY_MS)
    assert.deepEqual(await warnings(), [[key, 'week']])
    const expiresAt = Math.floor(seams.now() / 1000) + 30 * 86_400
    await call('PATCH', `/v1/keys/${key}`, { expiresAt })
    assert.deepEqual(await warnings(), [])
    pass(23 * DAY_MS)
    assert.deepEqual(await warnings(), [[key, 'week']])
  })

  it('is not warned of for a key that was revoked, or whose environment is archived', async (t) => {
    const { call, make, warnings, id } = await setupEnds(t)
    const [revoked, other] = [await make(DAY_MS), await make(DAY_MS, 'publishable')]
    await call('POST', `/v1/keys/${revoked}/revoke`)
    await call('POST', `/v1/environments/${id}/archive`)
    assert.deepEqual(await warnings(), [])
    await call('POST', `/v1/environments/${id}/restore`)
    assert.deepEqual(await warnings(), [[other, 'day']])
  })

  it('is warned of for every key when many end together, some lines at a time', async (t) => {
    const { store, made, warnings, seams, id } = await setupEnds(t)
    const key = await store.findApiKey(made.keyId)
    assert.ok(key)
    const expiresAt = seams.now() + HOUR_MS
    await store.change(async (changes) => {
      for (let index = 0; index < 250; index += 1) {
        const own = { id: `kid_${index}`, digest: `digest-${index}`, environmentId: id }
        await changes.insertApiKey({ ...key, ...own, expiresAt })
      }
    })
    const parts = [await warnings(), await warnings(), await warnings(), await warnings()]
    assert.deepEqual(
      parts.map(({ length }) => length),
      [100, 100, 50, 0],
    )
    assert.equal(new Set(parts.flat().map(([keyId]) => keyId)).size, 250)
  })
})
