import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { JWKS_MAX_AGE_SECONDS, LEEWAY_SECONDS } from '../../src/domain/signing-period.ts'
import { channels } from '../../src/formats/channels.ts'
import { LONGEST_TOKEN_LIFE_SECONDS } from '../../src/formats/formats.ts'
import { peer } from '../../src/formats/peer.ts'
import { user } from '../../src/formats/user.ts'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { createFollower } from '../../src/keys/follower.ts'
import { createKeyring } from '../../src/keys/keyring.ts'
import { createSigningKeyRotation } from '../../src/keys/signing-key-rotation.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { drivenSeams } from '../helpers/seams.ts'

const STALE_KEYS_SECONDS = 30
const SPREAD_MS = (STALE_KEYS_SECONDS + LEEWAY_SECONDS) * 1000
const LEAD_MS = SPREAD_MS + JWKS_MAX_AGE_SECONDS * 1000
const LIFE_MS = LONGEST_TOKEN_LIFE_SECONDS * 1000

const rotating = [
  ['EdDSA', peer],
  ['HS256', user],
] as const

/** One process after another at the same database, on one clock. */
async function setup(t: TestContext) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const seams = drivenSeams()
  const masterKey = seams.random(32)
  const start = async () => {
    const store = openSqlite(path)
    t.after(() => store.close())
    const sealer = await openDataKey(store, [masterKey], seams)
    const staleKeysSeconds = STALE_KEYS_SECONDS
    const follower = createFollower({ store, seams, staleKeysSeconds })
    const deps = { store, follower, sealer, seams, staleKeysSeconds, adminKeys: [] }
    const keyring = createKeyring(deps)
    await follower.refresh()
    return { ...deps, keyring, rotation: createSigningKeyRotation(deps) }
  }
  const first = await start()
  const environments = createEnvironments(first)
  const { environment } = await environments.create('One')
  const { id } = environment
  await first.follower.refresh()
  const { rotation, keyring, follower, store } = first
  const signs = async (format: typeof peer | typeof user | typeof channels) => {
    await follower.refresh()
    return keyring.signer(environment, format).kid
  }
  const phases = async () =>
    Object.fromEntries((await rotation.list(id)).map(({ kid, phase }) => [kid, phase]))
  return { seams, start, environments, environment, id, rotation, keyring, follower, store, signs, phases }
}

describe('a rotation', () => {
  for (const [algorithm, format] of rotating) {
    it(`lets an ${algorithm} key go from published to signing to verifying to gone`, async (t) => {
      const { rotation, signs, phases, id, seams } = await setup(t)
      const old = await signs(format)
      const { key, changed } = await rotation.rotate(id, algorithm)
      const { kid } = key
      assert.deepEqual([changed, key.phase, key.signsFrom], [true, 'published', seams.now() + LEAD_MS])
      seams.advance(LEAD_MS - 1)
      assert.equal(await signs(format), old)
      seams.advance(1)
      assert.equal(await signs(format), kid)
      const { [old]: oldPhase, [kid]: newPhase } = await phases()
      assert.deepEqual([oldPhase, newPhase], ['verifying', 'signing'])
      seams.advance(LIFE_MS + LEEWAY_SECONDS * 1000 - 1)
      assert.equal((await phases())[old], 'verifying')
      seams.advance(1)
      assert.equal((await phases())[old], 'gone')
      assert.equal(await signs(format), kid)
    })
  }

  it('leaves the other algorithm, other environments and imported keys alone', async (t) => {
    const { environments, environment, id, rotation, signs, seams } = await setup(t)
    const other = await environments.create('Two')
    const before = await rotation.list(other.environment.id)
    await environments.importSigningKey(
      { environmentId: id, kid: 'theirs', format: channels },
      'x'.repeat(32),
    )
    const ed25519 = await signs(peer)
    await rotation.rotate(environment.id, 'HS256')
    seams.advance(LEAD_MS)
    assert.equal(await signs(peer), ed25519)
    assert.equal(await signs(channels), 'theirs')
    assert.deepEqual(await rotation.list(other.environment.id), before)
  })

  it('makes no second successor while one waits, and one more afterwards', async (t) => {
    const { rotation, id, seams } = await setup(t)
    const first = await rotation.rotate(id, 'EdDSA')
    seams.advance(1_000)
    const second = await rotation.rotate(id, 'EdDSA')
    assert.deepEqual(second, { ...first, changed: false })
    seams.advance(LEAD_MS)
    const third = await rotation.rotate(id, 'EdDSA')
    assert.equal(third.changed, true)
    assert.notEqual(third.key.kid, first.key.kid)
  })

  for (const immediately of [false, true]) {
    it(`makes one key when two processes rotate at once${immediately ? ', immediately' : ''}`, async (t) => {
      const { start, rotation, id } = await setup(t)
      const replica = await start()
      const both = await Promise.all(
        [rotation, replica.rotation].map((one) => one.rotate(id, 'EdDSA', { immediately })),
      )
      assert.deepEqual(both.map(({ changed }) => changed).toSorted(), [false, true])
      assert.equal(both[0]?.key.kid, both[1]?.key.kid)
      assert.equal((await rotation.list(id)).length, 3)
    })
  }

  it('is not repeated or lost by a restart', async (t) => {
    const { start, environment, rotation, id, seams } = await setup(t)
    const { key } = await rotation.rotate(id, 'EdDSA')
    const before = await rotation.list(id)
    const again = await start()
    assert.deepEqual(await again.rotation.list(id), before)
    seams.advance(LEAD_MS)
    const later = await start()
    assert.equal(later.keyring.signer(environment, peer).kid, key.kid)
    assert.equal((await later.rotation.list(id)).length, before.length)
  })

  it('starts at once in an emergency, with the successor that waits already if there is one', async (t) => {
    const { rotation, signs, phases, id, seams } = await setup(t)
    const old = await signs(peer)
    const waiting = await rotation.rotate(id, 'EdDSA')
    seams.advance(1_000)
    const { key, changed } = await rotation.rotate(id, 'EdDSA', { immediately: true })
    assert.deepEqual([key.kid, key.phase, changed], [waiting.key.kid, 'signing', true])
    assert.equal(await signs(peer), key.kid)
    // Another process may sign with the old one until it learns of this.
    seams.advance(SPREAD_MS + LIFE_MS - 1)
    assert.equal((await phases())[old], 'verifying')
    seams.advance(1)
    assert.equal((await phases())[old], 'gone')
  })

  it('is refused for an environment that is not there', async (t) => {
    const { rotation } = await setup(t)
    const refused = [
      () => rotation.rotate('env_none', 'EdDSA'),
      () => rotation.rollBack('env_none', 'EdDSA'),
      () => rotation.list('env_none'),
    ]
    for (const attempt of refused) await assert.rejects(attempt, { error: 'not_found' })
  })

  it('shows nothing of a secret', async (t) => {
    const { rotation, id } = await setup(t)
    const shown = [(await rotation.rotate(id, 'HS256')).key, ...(await rotation.list(id))]
    for (const key of shown) assert.equal('sealedSecret' in key, false)
  })
})

describe('a roll back', () => {
  it('before the successor signs lets it be gone, and the old key goes on', async (t) => {
    const { rotation, signs, phases, id, seams } = await setup(t)
    const old = await signs(peer)
    const { key } = await rotation.rotate(id, 'EdDSA')
    seams.advance(LEAD_MS - SPREAD_MS - 1)
    const back = await rotation.rollBack(id, 'EdDSA')
    assert.deepEqual([back.key.kid, back.key.phase, back.changed], [old, 'signing', true])
    assert.equal((await phases())[key.kid], 'gone')
    seams.advance(LEAD_MS + LIFE_MS)
    assert.equal(await signs(peer), old)
  })

  it('keeps a successor in the JWKS that another process may begin to sign with meanwhile', async (t) => {
    const { rotation, signs, phases, id, seams } = await setup(t)
    const old = await signs(peer)
    const { key } = await rotation.rotate(id, 'EdDSA')
    seams.advance(LEAD_MS - SPREAD_MS)
    await rotation.rollBack(id, 'EdDSA')
    assert.equal((await phases())[key.kid], 'verifying')
    seams.advance(SPREAD_MS)
    assert.equal(await signs(peer), old)
  })

  it('after it lets the old key sign again, and the successor verifies what it signed', async (t) => {
    const { rotation, signs, phases, id, seams } = await setup(t)
    const old = await signs(peer)
    const { key } = await rotation.rotate(id, 'EdDSA')
    seams.advance(LEAD_MS)
    assert.equal(await signs(peer), key.kid)
    assert.equal((await rotation.rollBack(id, 'EdDSA')).key.kid, old)
    assert.equal(await signs(peer), old)
    seams.advance(SPREAD_MS + LIFE_MS - 1)
    assert.equal((await phases())[key.kid], 'verifying')
    seams.advance(1)
    assert.deepEqual([(await phases())[key.kid], (await phases())[old]], ['gone', 'signing'])
  })

  it('is a conflict when there is nothing to go back to', async (t) => {
    const { rotation, id, seams } = await setup(t)
    await assert.rejects(rotation.rollBack(id, 'EdDSA'), { error: 'conflict' })
    await rotation.rotate(id, 'EdDSA')
    seams.advance(LEAD_MS + LIFE_MS)
    // The old key would leave the JWKS before every process knows that it signs again.
    await assert.rejects(rotation.rollBack(id, 'EdDSA'), { error: 'conflict' })
  })

  it('goes back once when two processes do so at once', async (t) => {
    const { start, rotation, id, seams } = await setup(t)
    for (const _ of ['oldest', 'old']) {
      await rotation.rotate(id, 'EdDSA')
      seams.advance(LEAD_MS)
    }
    const [, middle] = (await rotation.list(id)).filter(({ algorithm }) => algorithm === 'EdDSA')
    const replica = await start()
    const both = await Promise.all([rotation, replica.rotation].map((one) => one.rollBack(id, 'EdDSA')))
    assert.deepEqual(
      both.map(({ key }) => key.kid),
      [middle?.kid, middle?.kid],
    )
  })
})

describe('an environment without a key that may sign', () => {
  it('is served by no dead key, from the very moment', async (t) => {
    const { store, follower, keyring, environment, id, signs, seams } = await setup(t)
    const ended = { signsUntil: seams.now() + 1_000, verifiesUntil: seams.now() + 2_000 }
    const kid = await signs(peer)
    await store.change((changes) => changes.updateSigningKey(id, kid, ended))
    await follower.refresh()
    seams.advance(999)
    assert.equal(keyring.signer(environment, peer).kid, kid)
    seams.advance(1)
    assert.throws(() => keyring.signer(environment, peer), { error: 'store_unavailable' })
    assert.equal(keyring.canSign(), 'everywhere')
    const other = await signs(user)
    await store.change((changes) => changes.updateSigningKey(id, other, ended))
    await follower.refresh()
    assert.equal(keyring.canSign(), 'nowhere')
  })
})
