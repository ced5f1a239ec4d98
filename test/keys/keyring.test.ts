import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { channels } from '../../src/formats/channels.ts'
import { peer } from '../../src/formats/peer.ts'
import { user } from '../../src/formats/user.ts'
import { generateAdminKey, generateApiKey } from '../../src/keys/api-keys.ts'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { createFollower } from '../../src/keys/follower.ts'
import { createKeyring } from '../../src/keys/keyring.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import type { ApiKey, Store } from '../../src/store/store.ts'
import { drivenSeams } from '../helpers/seams.ts'

async function setup(t: TestContext) {
  const seams = drivenSeams()
  const store = openSqlite(':memory:')
  t.after(() => store.close())
  const sealer = await openDataKey(store, [seams.random(32)], seams)
  const environments = createEnvironments({ store, sealer, seams })
  const made = await environments.create('One')
  const over = (used: Store) => {
    const follower = createFollower({ store: used, seams, staleKeysSeconds: 30 })
    return { follower, keyring: createKeyring({ store: used, follower, sealer, seams, adminKeys: [] }) }
  }
  const { follower, keyring } = over(store)
  await follower.refresh()
  const addKey = async (change: Partial<ApiKey>) => {
    const { row, text } = generateApiKey('secret', made.environment, seams)
    await store.change((changes) => changes.insertApiKey({ ...row, ...change }))
    await follower.refresh()
    return { text, keyId: undefined }
  }
  return { seams, store, sealer, environments, made, follower, keyring, over, addKey }
}

describe('a presented secret key', () => {
  it('is known by its text, alone or with its id', async (t) => {
    const { keyring, made } = await setup(t)
    for (const keyId of [undefined, made.keyId]) {
      const { key, environment } = keyring.authenticate({ text: made.secretKey, keyId })
      assert.equal(key.id, made.keyId)
      assert.equal(environment.id, made.environment.id)
    }
  })

  it('is refused with the reason', async (t) => {
    const { keyring, made, environments } = await setup(t)
    const other = await environments.create('Two')
    const refused: [string, string, string | undefined][] = [
      ['key_malformed', made.secretKey.slice(0, -1), undefined],
      ['key_malformed', 'sk_live_x', undefined],
      ['key_unknown', other.secretKey, undefined],
      ['key_unknown', made.secretKey, other.keyId],
      ['key_kind_wrong', made.publishableKey, undefined],
      ['key_kind_wrong', other.publishableKey, undefined],
    ]
    for (const [error, text, keyId] of refused) {
      assert.throws(() => keyring.authenticate({ text, keyId }), { error })
    }
  })

  it('is refused once it has expired, and not a moment before', async (t) => {
    const { keyring, seams, addKey } = await setup(t)
    const key = await addKey({ expiresAt: seams.now() + 1_000 })
    seams.advance(999)
    assert.ok(keyring.authenticate(key))
    seams.advance(1)
    assert.throws(() => keyring.authenticate(key), { error: 'key_expired' })
  })

  it('is refused once it was revoked', async (t) => {
    const { keyring, seams, addKey } = await setup(t)
    const key = await addKey({ revokedAt: seams.now() })
    assert.throws(() => keyring.authenticate(key), { error: 'key_revoked' })
  })
})

describe('the keyring', () => {
  it('learns of what another process made when it looks again', async (t) => {
    const { follower, keyring, environments } = await setup(t)
    const other = await environments.create('Two')
    await follower.refresh()
    assert.ok(keyring.authenticate({ text: other.secretKey, keyId: undefined }))
    assert.equal(keyring.signer(other.environment, user).algorithm, 'HS256')
  })

  it('goes on for a while when the store cannot be read, then refuses, and comes back', async (t) => {
    const { store, seams, made, over } = await setup(t)
    let broken = false
    const { follower, keyring } = over({
      ...store,
      readChanges: (since, take) =>
        broken ? Promise.reject(new Error('disk')) : store.readChanges(since, take),
    })
    const call = () => keyring.authenticate({ text: made.secretKey, keyId: undefined })
    await follower.refresh()
    broken = true
    seams.advance(30_000)
    await assert.rejects(follower.refresh())
    assert.ok(call())
    assert.equal(follower.knowledge(), 'behind')
    seams.advance(1)
    assert.throws(call, { error: 'store_unavailable' })
    broken = false
    await follower.refresh()
    assert.ok(call())
    assert.equal(follower.knowledge(), 'fresh')
  })

  it('refuses before it has read the store once', async (t) => {
    const { over, store, made } = await setup(t)
    const { keyring } = over(store)
    assert.throws(() => keyring.authenticate({ text: made.secretKey, keyId: undefined }), {
      error: 'store_unavailable',
    })
  })

  it('keeps the first time that a browser showed a key', async (t) => {
    const { keyring, store, made, seams } = await setup(t)
    const flag = () =>
      keyring.flagExposed(keyring.authenticate({ text: made.secretKey, keyId: undefined }).key)
    const at = seams.now()
    await flag()
    seams.advance(1_000)
    await flag()
    const [key] = await store.listApiKeys(made.environment.id)
    assert.equal(key?.exposedAt, at)
  })

  it('signs with the format’s algorithm, with a key that is opened once', async (t) => {
    const { keyring, made } = await setup(t)
    assert.equal(keyring.signer(made.environment, user).algorithm, 'HS256')
    assert.equal(keyring.signer(made.environment, peer).algorithm, 'EdDSA')
    assert.equal(keyring.signer(made.environment, peer), keyring.signer(made.environment, peer))
    assert.throws(() => keyring.signer({ ...made.environment, id: 'env_none' }, user), {
      error: 'store_unavailable',
    })
  })

  it('signs every format with what the environment prescribes', async (t) => {
    const { follower, keyring, environments, made } = await setup(t)
    await environments.update(made.environment.id, { signingAlgorithm: 'EdDSA' })
    await follower.refresh()
    const { environment } = keyring.authenticate({ text: made.secretKey, keyId: undefined })
    assert.equal(keyring.signer(environment, user).algorithm, 'EdDSA')
    await assert.rejects(environments.update('env_none', { signingAlgorithm: 'EdDSA' }), {
      error: 'not_found',
    })
  })

  it('signs the one format that a key was imported for with that key', async (t) => {
    const { follower, keyring, environments, made } = await setup(t)
    const identity = { environmentId: made.environment.id, kid: 'theirs', format: channels }
    await environments.importSigningKey(identity, 'x'.repeat(32))
    await follower.refresh()
    assert.equal(keyring.signer(made.environment, channels).kid, 'theirs')
    assert.notEqual(keyring.signer(made.environment, user).kid, 'theirs')
    await assert.rejects(environments.importSigningKey(identity, 'y'.repeat(32)), { error: 'conflict' })
    await assert.rejects(
      environments.importSigningKey({ ...identity, environmentId: 'env_none' }, 'x'.repeat(32)),
      {
        error: 'not_found',
      },
    )
  })

  it('mints in a new environment though its clock is a little behind that of the one who made it', async (t) => {
    const { follower, seams, environments, keyring } = await setup(t)
    seams.advance(9_000)
    const made = await environments.create('From the future')
    await follower.refresh()
    seams.advance(-9_000)
    assert.ok(keyring.signer(made.environment, user))
    assert.equal(keyring.canSign(), 'everywhere')
  })

  it('takes the admin key of a first start until one is configured', async (t) => {
    const { store, sealer, seams, over } = await setup(t)
    const { row, text } = generateAdminKey(seams)
    await store.change((changes) => changes.insertAdminKey(row))
    const first = over(store)
    await first.follower.refresh()
    first.keyring.authenticateAdmin(text)
    const adminKeys = [generateAdminKey(seams).text]
    const later = createFollower({ store, seams, staleKeysSeconds: 30 })
    const configured = createKeyring({ store, follower: later, sealer, seams, adminKeys })
    await later.refresh()
    assert.throws(() => configured.authenticateAdmin(text), { error: 'key_unknown' })
    for (const key of adminKeys) configured.authenticateAdmin(key)
  })
})
