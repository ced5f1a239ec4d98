import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { ApiKey, ChangedRows, Environment, SigningKey, Store } from '../../src/store/store.ts'
import { changesSince } from '../helpers/changes.ts'

export const environment: Environment = {
  id: 'env_1',
  name: 'One',
  tag: 'live',
  signingAlgorithm: undefined,
  turn: undefined,
  settings: {},
  createdAt: 1_000,
  archivedAt: undefined,
}
export const secretKey: ApiKey = {
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
export const signingKey: SigningKey = {
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

/** A database of a test's own. */
export interface Database {
  /** Opens it once more each time, and closes all when the test ends. */
  readonly handle: () => Promise<Store>
  /** Runs a statement behind the store's back. */
  readonly run: (statement: string) => Promise<unknown>
}

/** What every store promises, whatever database is under it. */
export function storeContract(
  name: string,
  open: (t: TestContext) => Promise<Database>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`the store on ${name}`, { skip }, () => {
    async function prepared(t: TestContext) {
      const { handle, run } = await open(t)
      const store = await handle()
      await store.prepare()
      return { store, handle, run }
    }

    async function filled(t: TestContext) {
      const { store, handle, run } = await prepared(t)
      await store.change(async (changes) => {
        await changes.insertEnvironment(environment)
        await changes.insertApiKey(secretKey)
        await changes.insertSigningKey(signingKey)
      })
      return { store, handle, run }
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

    it('seals the data key anew in one row, under a revision of its own', async (t) => {
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
      const after = await changesSince(store, 0)
      assert.equal(after.revision, before.revision + 1)
      assert.deepEqual({ ...after, revision: before.revision, recordHead: before.recordHead }, before)
    })

    it('orders texts by their bytes, so that pages and parts hold each row once', async (t) => {
      const { store } = await prepared(t)
      // Words sort otherwise in every language: case and signs count last there, or not at all.
      const ids = ['A-2', 'A1', 'B', 'Z', 'a', 'a-1', 'a1', 'b', 'ß', 'ä', '\u{10000}']
      await store.change(async (changes) => {
        for (const id of ids.toReversed()) {
          await changes.insertEnvironment({ ...environment, id, name: `${id} ` })
          await changes.insertSigningKey({ ...signingKey, environmentId: id, kid: id })
        }
        for (let index = 0; index < 600; index += 1) {
          const id = `${'aAbB-_'.charAt(index % 6)}${index}`
          await changes.insertApiKey({ ...secretKey, id, digest: id, environmentId: 'a' })
        }
      })
      const seen: string[] = []
      for (;;) {
        const page = await store.listEnvironments({ after: seen.at(-1), limit: 2 })
        if (page.length === 0) break
        seen.push(...page.map(({ id }) => id))
      }
      assert.deepEqual(seen, ids)
      const all = await changesSince(store, 0)
      assert.deepEqual(
        all.environments.map(({ id }) => id),
        ids,
      )
      assert.equal(new Set(all.apiKeys.map(({ id }) => id)).size, 600)
      assert.equal(all.apiKeys.length, 600)
      const listed = await store.listApiKeys('a', { limit: 600 })
      assert.deepEqual(
        listed.map(({ id }) => id),
        listed.map(({ id }) => id).toSorted((one, other) => (one < other ? -1 : 1)),
      )
    })

    it('finds nothing under ids that no text of ours can be', async (t) => {
      const { store } = await filled(t)
      for (const id of [
        '',
        'env_1\0',
        '\0',
        '\ud800',
        'kid_1\0',
        "'; drop table api_key; --",
        'x'.repeat(100_000),
      ]) {
        assert.equal(await store.findEnvironment(id), undefined)
        assert.equal(await store.findApiKey(id), undefined)
        assert.deepEqual(await store.listApiKeys(id), [])
        assert.deepEqual(await store.listApiKeysOf(id, 1_000), [])
        assert.deepEqual(await store.listSigningKeys(id), [])
        assert.equal(await store.change((changes) => changes.findRevocation(id, 'subject', id)), undefined)
      }
      assert.equal((await store.listEnvironments({ after: '\0', limit: 10 })).length, 1)
      assert.equal((await store.listEnvironments({ after: 'env_1\0', limit: 10 })).length, 0)
      assert.equal(
        (await store.listApiKeys('env_1', { after: { createdAt: 1_000, id: '\0' }, limit: 1 })).length,
        1,
      )
    })

    it('shows a change once it is whole, and lets reads go on meanwhile', async (t) => {
      const { store } = await filled(t)
      const before = await changesSince(store, 0)
      await store.change(async (changes) => {
        await changes.updateApiKey('kid_1', { name: 'CI' })
        assert.deepEqual(await changesSince(store, 0), before)
        assert.equal((await store.findApiKey('kid_1'))?.name, undefined)
        assert.equal((await changes.findApiKey('kid_1'))?.name, 'CI')
      })
      assert.equal((await store.findApiKey('kid_1'))?.name, 'CI')
    })

    it('lets each change see what the one before it wrote, in whatever process', async (t) => {
      const { store, handle } = await filled(t)
      const other = await handle()
      const count = (used: Store) =>
        used.change(async (changes) => {
          const tag = Number((await changes.findApiKey('kid_1'))?.name ?? 0)
          await changes.updateApiKey('kid_1', { name: String(tag + 1) })
        })
      await Promise.all(Array.from({ length: 40 }, (_, index) => count(index % 2 ? store : other)))
      assert.equal((await store.findApiKey('kid_1'))?.name, '40')
    })

    it('lets a process that follows miss no row, however many write', async (t) => {
      const { store, handle } = await filled(t)
      const others = [await handle(), await handle()]
      let writing = 60
      const write = async (used: Store, id: string) => {
        await used.change((changes) => changes.insertApiKey({ ...secretKey, id, digest: id }))
        writing -= 1
      }
      const written = others.map(async (used, who) => {
        for (let index = 0; index < 30; index += 1) await write(used, `kid_${who}_${index}`)
      })
      const seen = new Set<string>()
      let revision = 0
      while (writing > 0) {
        const changes = await changesSince(store, revision)
        assert.ok(changes.revision >= revision)
        revision = changes.revision
        for (const { id } of changes.apiKeys) seen.add(id)
        await turn()
      }
      await Promise.all(written)
      for (const { id } of (await changesSince(store, revision)).apiKeys) seen.add(id)
      assert.equal(seen.size, 61)
    })

    it('notes uses while keys change, and neither gets in the way of the other', async (t) => {
      const { store, handle } = await filled(t)
      const other = await handle()
      const ids = Array.from({ length: 40 }, (_, index) => `kid_${index + 10}`)
      await store.change(async (changes) => {
        for (const id of ids) await changes.insertApiKey({ ...secretKey, id, digest: id })
      })
      await Promise.all([
        ...ids.map((_, minute) => store.noteUses(new Map(ids.map((id) => [id, minute * 60_000])))),
        ...ids.map((_, minute) =>
          other.noteUses(new Map(ids.toReversed().map((id) => [id, minute * 60_000]))),
        ),
        ...ids.map((id) => other.change((changes) => changes.updateApiKey(id, { exposedAt: 5 }))),
      ])
      const keys = (await store.listApiKeys('env_1')).filter(({ id }) => ids.includes(id))
      assert.deepEqual(
        keys.map(({ lastUsedAt, exposedAt }) => [lastUsedAt, exposedAt]),
        ids.map(() => [39 * 60_000, 5]),
      )
    })

    it('keeps revocations that only grow, and forgets those that ended', async (t) => {
      const { store } = await filled(t)
      const revoked = {
        environmentId: 'env_1',
        kind: 'subject',
        value: 'zoë',
        before: 100,
        until: 200,
      } as const
      const keep = (more: object, now = 0) =>
        store.change((changes) => changes.keepRevocation({ ...revoked, ...more }, now))
      const find = () => store.change((changes) => changes.findRevocation('env_1', 'subject', 'zoë'))
      await keep({})
      await keep({ before: 50, until: 300 })
      assert.deepEqual(await find(), { ...revoked, until: 300, revision: 3 })
      await keep({ before: 150, until: 10 })
      assert.deepEqual(await find(), { ...revoked, before: 150, until: 300, revision: 5 })
      await keep({ kind: 'jti', value: 'one', before: undefined }, 300)
      assert.equal(await find(), undefined)
      assert.deepEqual(
        (await changesSince(store, 0)).revocations.map(({ value, before }) => [value, before]),
        [['one', undefined]],
      )
    })

    it('remembers a call until it is forgotten, and once', async (t) => {
      const { store } = await prepared(t)
      const call = { id: 'call', fingerprint: 'f', result: '{}', createdAt: 1_000 }
      const find = (since: number) => store.change((changes) => changes.findIdempotentCall('call', since))
      await store.change((changes) => changes.keepIdempotentCall(call, 0))
      assert.deepEqual(await find(999), call)
      assert.equal(await find(1_000), undefined)
      await assert.rejects(
        store.change((changes) => changes.keepIdempotentCall(call, 999)),
        { error: 'conflict' },
      )
      await store.change((changes) => changes.keepIdempotentCall({ ...call, createdAt: 2_000 }, 1_000))
      assert.deepEqual(await find(0), { ...call, createdAt: 2_000 })
    })

    it('holds numbers up to the largest that is exact', async (t) => {
      const { store } = await filled(t)
      const expiresAt = Number.MAX_SAFE_INTEGER
      await store.change((changes) => changes.updateApiKey('kid_1', { expiresAt }))
      assert.equal((await store.findApiKey('kid_1'))?.expiresAt, expiresAt)
    })

    it('hands everything over anew when the database was put back to an earlier state', async (t) => {
      const { store, run } = await filled(t)
      const { revision, ...all } = await changesSince(store, 0)
      assert.equal(revision, 1)
      const parts: ChangedRows[] = []
      assert.equal(await store.readChanges(500, (rows) => parts.push(rows)), 1)
      assert.deepEqual(parts, [{ anew: true, ...all }])
      await run('update revision set value = 0')
      await run('delete from signing_key')
      assert.equal(await store.readChanges(1, (rows) => parts.push(rows)), 0)
      assert.deepEqual(parts.at(-1), { anew: true, ...all, signingKeys: [] })
    })

    it('hands everything over anew when other changes took the place of some that were lost', async (t) => {
      const { store, run } = await filled(t)
      const lost = { ...secretKey, id: 'kid_lost', digest: 'lost' }
      await store.change((changes) => changes.insertApiKey(lost))
      const { revision, recordHead } = await changesSince(store, 0)
      await run("delete from api_key where id = 'kid_lost'")
      await run(`delete from change_aspect where revision = ${revision}`)
      await run(`delete from change_record where revision = ${revision}`)
      await run(`update revision set value = ${revision - 1}`)
      await store.change((changes) => changes.updateApiKey('kid_1', { revokedAt: 3_000 }))
      const parts: ChangedRows[] = []
      const found = await store.readChanges(revision, (rows) => parts.push(rows), recordHead)
      assert.equal(found, revision)
      const [{ anew, apiKeys, recordHead: head } = {}] = parts
      assert.deepEqual([anew, apiKeys], [true, [{ ...secretKey, revokedAt: 3_000 }]])
      assert.equal(await store.readChanges(found, (rows) => parts.push(rows), head), revision)
      assert.equal(parts.length, 1)
    })

    it('is refused, unchanged, when a newer Jeton wrote it', async (t) => {
      const { store, handle, run } = await prepared(t)
      await run(
        "insert into kysely_migration (name, timestamp) values ('9999-future', '2030-01-01T00:00:00.000Z')",
      )
      const later = await handle()
      const refusal = { name: 'StoreError', message: /newer Jeton.*9999-future/ }
      await assert.rejects(later.prepare(), refusal)
      await assert.rejects(later.sealedDataKey(), refusal)
      assert.equal((await changesSince(store, 0)).revision, 0)
    })

    it('goes on for a process that runs when a newer Jeton has added to it', async (t) => {
      const { store, run } = await filled(t)
      const { revision } = await changesSince(store, 0)
      await run('alter table api_key add column future text')
      await run("update api_key set future = 'kept'")
      await run('create table future (id text primary key)')
      await run(
        "insert into kysely_migration (name, timestamp) values ('9999-future', '2030-01-01T00:00:00.000Z')",
      )
      await store.change(async (changes) => {
        await changes.updateApiKey('kid_1', { exposedAt: 2_000 })
        await changes.insertApiKey({ ...secretKey, id: 'kid_2', digest: 'digest-2' })
      })
      const later = await changesSince(store, revision)
      assert.deepEqual(
        later.apiKeys.map(({ id, exposedAt }) => [id, exposedAt]),
        [
          ['kid_1', 2_000],
          ['kid_2', undefined],
        ],
      )
      await run("delete from api_key where future = 'kept'")
      assert.deepEqual(
        (await store.listApiKeys('env_1')).map(({ id }) => id),
        ['kid_2'],
      )
    })

    it('is prepared once when two processes start at once', async (t) => {
      const { handle } = await open(t)
      const stores = await Promise.all([handle(), handle(), handle()])
      assert.equal(await stores[0]?.sealedDataKey(), undefined)
      await Promise.all(stores.map((store) => store.prepare()))
      for (const store of stores) assert.deepEqual(await store.listEnvironments(), [])
    })
  })
}
