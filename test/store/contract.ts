import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { ApiKey, Environment, SigningKey, Store } from '../../src/store/store.ts'
import { changesSince } from '../helpers/changes.ts'

const environment: Environment = {
  id: 'env_1',
  name: 'One',
  tag: 'live',
  signingAlgorithm: undefined,
  turn: undefined,
  settings: {},
  createdAt: 1_000,
  archivedAt: undefined,
}
const secretKey: ApiKey = {
  id: 'kid_1',
  environmentId: 'env_1',
  kind: 'secret',
  digest: 'digest-1',
  hint: 'sk_live_…abcd',
  text: undefined,
  sealedSecret: Buffer.from([7, 8]),
  grant: { channels: ['room-*'], maxTtlSeconds: 600 },
  access: undefined,
  name: undefined,
  createdAt: 1_000,
  expiresAt: undefined,
  revokedAt: undefined,
  exposedAt: undefined,
  successorId: undefined,
  lastUsedAt: undefined,
}
const signingKey: SigningKey = {
  environmentId: 'env_1',
  kid: 'sig_1',
  format: undefined,
  algorithm: 'HS256',
  sealedSecret: Buffer.from([0, 1, 254, 255]),
  publicJwk: undefined,
  createdAt: 1_000,
  signsFrom: 1_000,
  signsUntil: undefined,
  verifiesUntil: undefined,
  exportedAt: undefined,
}

/**
 * What every store promises, whatever database is under it.
 *
 * @param open gives a second handle on the same database each time it is called, and closes all when the test ends
 */
export function storeContract(
  name: string,
  open: (t: TestContext) => Promise<() => Promise<Store>>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`the store on ${name}`, { skip }, () => {
    async function prepared(t: TestContext) {
      const handle = await open(t)
      const store = await handle()
      await store.prepare()
      return { store, handle }
    }

    async function filled(t: TestContext) {
      const { store, handle } = await prepared(t)
      await store.change(async (changes) => {
        await changes.insertEnvironment(environment)
        await changes.insertApiKey(secretKey)
        await changes.insertSigningKey(signingKey)
      })
      return { store, handle }
    }

    it('gives back what was written, member by member', async (t) => {
      const { store } = await filled(t)
      const changes = await changesSince(store, 0)
      assert.deepEqual(changes.environments, [environment])
      assert.deepEqual(changes.apiKeys, [secretKey])
      assert.deepEqual(changes.signingKeys, [signingKey])
      assert.deepEqual(await store.listEnvironments(), [environment])
      assert.deepEqual(await store.listApiKeys('env_1'), [secretKey])
      assert.deepEqual(await store.listApiKeys('env_2'), [])
      assert.deepEqual(await store.listSigningKeys('env_1'), [signingKey])
      assert.deepEqual(await store.listSigningKeys('env_2'), [])
    })

    it('shows another process what changed since it last looked, and only that', async (t) => {
      const { store, handle } = await filled(t)
      const other = await handle()
      const { revision } = await changesSince(other, 0)
      assert.deepEqual((await changesSince(other, revision)).apiKeys, [])
      await store.change((changes) => changes.updateApiKey('kid_1', { exposedAt: 2_000 }))
      const later = await changesSince(other, revision)
      assert.ok(later.revision > revision)
      assert.deepEqual(later.apiKeys, [{ ...secretKey, exposedAt: 2_000 }])
      assert.deepEqual(later.environments, [])
    })

    it('hands over many rows in parts, each row once, also those of one revision', async (t) => {
      const { store } = await filled(t)
      const ids = Array.from({ length: 777 }, (_, index) => `kid_${String(index).padStart(4, '0')}`)
      await store.change(async (changes) => {
        for (const id of ids) await changes.insertApiKey({ ...secretKey, id, digest: id })
      })
      const parts: number[] = []
      const seen: string[] = []
      const revision = await store.readChanges(1, ({ apiKeys = [] }) => {
        parts.push(apiKeys.length)
        seen.push(...apiKeys.map(({ id }) => id))
      })
      assert.deepEqual(seen, ids)
      assert.ok(Math.max(...parts) < ids.length / 2)
      assert.equal(revision, 2)
    })

    it('changes settings by name, and nothing else', async (t) => {
      const { store } = await filled(t)
      const turn = { urls: ['turn:a', 'turns:b?transport=tcp'], sealedSecret: Buffer.from([1, 2]) }
      await store.change((changes) => changes.updateEnvironment('env_1', { turn }))
      await store.change((changes) => changes.updateEnvironment('env_1', { signingAlgorithm: 'EdDSA' }))
      const find = () => store.change((changes) => changes.findEnvironment('env_1'))
      assert.deepEqual(await find(), { ...environment, turn, signingAlgorithm: 'EdDSA' })
      await store.change((changes) => changes.updateEnvironment('env_1', { turn: undefined }))
      assert.deepEqual(await find(), { ...environment, signingAlgorithm: 'EdDSA' })
      await store.change((changes) => changes.updateApiKey('kid_1', { grant: undefined }))
      assert.deepEqual(await store.listApiKeys('env_1'), [{ ...secretKey, grant: undefined }])
    })

    it('says when there is nothing to change', async (t) => {
      const { store } = await filled(t)
      const { revision } = await changesSince(store, 0)
      const update = store.change((changes) => changes.updateEnvironment('env_2', { turn: undefined }))
      await assert.rejects(update, { error: 'not_found' })
      await assert.rejects(
        store.change((changes) => changes.updateApiKey('kid_2', {})),
        { error: 'not_found' },
      )
      assert.equal(await store.change((changes) => changes.findEnvironment('env_2')), undefined)
      assert.equal((await changesSince(store, 0)).revision, revision + 1)
    })

    it('takes a change whole or not at all', async (t) => {
      const { store } = await prepared(t)
      const { revision } = await changesSince(store, 0)
      const failed = store.change(async (changes) => {
        await changes.insertEnvironment(environment)
        throw new Error('halfway')
      })
      await assert.rejects(failed, /halfway/)
      assert.deepEqual(await store.listEnvironments(), [])
      assert.equal((await changesSince(store, 0)).revision, revision)
    })

    it('refuses a second use of a name, an id, a digest or a kid as a conflict', async (t) => {
      const { store } = await filled(t)
      const twice = [
        store.change((changes) => changes.insertEnvironment({ ...environment, id: 'env_2' })),
        store.change((changes) => changes.insertEnvironment({ ...environment, name: 'Two' })),
        store.change((changes) => changes.insertApiKey({ ...secretKey, id: 'kid_2' })),
        store.change((changes) => changes.insertApiKey({ ...secretKey, digest: 'digest-2' })),
        store.change((changes) => changes.insertSigningKey(signingKey)),
      ]
      for (const attempt of twice) await assert.rejects(attempt, { error: 'conflict' })
      assert.equal((await store.listEnvironments()).length, 1)
    })

    it('lets another environment hold the same kid', async (t) => {
      const { store } = await filled(t)
      await store.change(async (changes) => {
        await changes.insertEnvironment({ ...environment, id: 'env_2', name: 'Two' })
        await changes.insertSigningKey({ ...signingKey, environmentId: 'env_2' })
      })
      assert.equal((await changesSince(store, 0)).signingKeys.length, 2)
    })

    it('loses nothing when two processes change it at once', async (t) => {
      const { store, handle } = await prepared(t)
      const other = await handle()
      const { revision } = await changesSince(store, 0)
      const insert = (used: Store, index: number) =>
        used.change((changes) =>
          changes.insertEnvironment({ ...environment, id: `env_${index}`, name: `Environment ${index}` }),
        )
      await Promise.all(Array.from({ length: 40 }, (_, index) => insert(index % 2 ? store : other, index)))
      const after = await changesSince(store, 0)
      assert.equal(after.environments.length, 40)
      assert.equal(after.revision, revision + 40)
    })

    it('lists the keys of an environment page by page, each once, those of one moment too', async (t) => {
      const { store } = await prepared(t)
      const keys = Array.from({ length: 7 }, (_, index) => ({
        ...secretKey,
        id: `kid_${index}`,
        digest: `digest-${index}`,
        createdAt: index < 3 ? 2_000 : 1_000,
      }))
      await store.change(async (changes) => {
        await changes.insertEnvironment(environment)
        for (const key of keys) await changes.insertApiKey(key)
      })
      const seen: string[] = []
      for (;;) {
        const after = keys.find(({ id }) => id === seen.at(-1))
        const page = await store.listApiKeys('env_1', { after, limit: 2 })
        if (page.length === 0) break
        seen.push(...page.map(({ id }) => id))
      }
      assert.deepEqual(seen, ['kid_3', 'kid_4', 'kid_5', 'kid_6', 'kid_0', 'kid_1', 'kid_2'])
      assert.deepEqual(await store.listApiKeys('env_2', { limit: 2 }), [])
    })

    it('finds one key by its id, and a living one by its name', async (t) => {
      const { store } = await filled(t)
      assert.deepEqual(await store.findApiKey('kid_1'), secretKey)
      assert.equal(await store.findApiKey('kid_2'), undefined)
      const named = (name: string, now: number, environmentId = 'env_1') =>
        store.change(async (changes) => (await changes.findLivingKeyNamed(environmentId, name, now))?.id)
      await store.change((changes) => changes.updateApiKey('kid_1', { name: 'CI', expiresAt: 5_000 }))
      assert.equal(await named('CI', 4_999), 'kid_1')
      assert.equal(await named('CI', 5_000), undefined)
      assert.equal(await named('ci', 4_999), undefined)
      assert.equal(await named('CI', 4_999, 'env_2'), undefined)
      await store.change((changes) => changes.updateApiKey('kid_1', { revokedAt: 3_000 }))
      assert.equal(await named('CI', 4_000), undefined)
    })

    it('notes when keys were used, the latest of what several processes say, without a new revision', async (t) => {
      const { store, handle } = await filled(t)
      const { revision } = await changesSince(store, 0)
      await store.noteUses(new Map([['kid_1', 60_000]]))
      await (await handle()).noteUses(new Map([['kid_1', 120_000]]))
      await store.noteUses(
        new Map([
          ['kid_1', 60_000],
          ['kid_unknown', 60_000],
        ]),
      )
      assert.equal((await store.findApiKey('kid_1'))?.lastUsedAt, 120_000)
      assert.equal((await changesSince(store, 0)).revision, revision)
      await store.change((changes) => changes.updateApiKey('kid_1', { name: 'CI' }))
      assert.equal((await store.findApiKey('kid_1'))?.lastUsedAt, 120_000)
    })

    it('keeps the first data key for everybody', async (t) => {
      const { store, handle } = await prepared(t)
      assert.equal(await store.sealedDataKey(), undefined)
      const keep = (used: Store, byte: number) =>
        used.change((changes) => changes.keepDataKey(Buffer.of(byte)))
      const first = await keep(store, 1)
      assert.deepEqual(await keep(await handle(), 2), first)
      assert.deepEqual(await store.sealedDataKey(), first)
    })

    it('seals the data key anew in one row, without a new revision', async (t) => {
      const { store } = await filled(t)
      await store.change((changes) => changes.keepDataKey(Buffer.of(1)))
      const before = await changesSince(store, 0)
      await store.changeDataKey(async (sealed) => Buffer.concat([sealed, Buffer.of(2)]))
      assert.deepEqual(await store.sealedDataKey(), Buffer.of(1, 2))
      await assert.rejects(
        store.changeDataKey(() => Promise.reject(new Error('halfway'))),
        /halfway/,
      )
      assert.deepEqual(await store.sealedDataKey(), Buffer.of(1, 2))
      assert.deepEqual(await changesSince(store, 0), before)
    })

    it('is prepared once when two processes start at once', async (t) => {
      const handle = await open(t)
      const stores = await Promise.all([handle(), handle(), handle()])
      assert.equal(await stores[0]?.sealedDataKey(), undefined)
      await Promise.all(stores.map((store) => store.prepare()))
      for (const store of stores) assert.deepEqual(await store.listEnvironments(), [])
    })
  })
}
