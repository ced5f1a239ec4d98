import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { sha256 } from '../../src/domain/chain.ts'
import type { Actor } from '../../src/domain/change-record.ts'
import { verifyChanges } from '../../src/journal/verify-changes.ts'
import type { Witness } from '../../src/store/change-records.ts'
import type { ApiKey, ChangeQuestion, ChangeRecords, ChangeSet, Store } from '../../src/store/store.ts'
import { changesSince } from '../helpers/changes.ts'
import { environment, secretKey, signingKey } from './contract.ts'

const START_MS = Date.UTC(2026, 10, 22, 12)

/** A database of a test's own. */
export interface RecordedDatabase {
  /** Opens it once more each time. */
  readonly handle: (witness?: Witness) => Promise<Store>
  /** Opens its records alone. */
  readonly records: () => Promise<ChangeRecords>
  /** Runs a statement behind the store's back. */
  readonly run: (statement: string) => Promise<unknown>
}

/** Every call of a change set: those that write what a record tells of, and those that do not. */
const calls: Record<Exclude<keyof ChangeSet, 'revision'>, (changes: ChangeSet) => Promise<unknown>> = {
  countEnvironments: (changes) => changes.countEnvironments(),
  keepDataKey: (changes) => changes.keepDataKey(Buffer.of(1)),
  findEnvironment: (changes) => changes.findEnvironment('env_1'),
  insertEnvironment: (changes) => changes.insertEnvironment({ ...environment, id: 'env_2', name: 'Two' }),
  insertApiKey: (changes) => changes.insertApiKey({ ...secretKey, id: 'kid_2', digest: 'digest-2' }),
  insertSigningKey: (changes) => changes.insertSigningKey({ ...signingKey, kid: 'sig_2' }),
  insertAdminKey: (changes) => changes.insertAdminKey({ digest: 'd', hint: 'h', createdAt: 1 }),
  findIdempotentCall: (changes) => changes.findIdempotentCall('call', 0),
  keepIdempotentCall: (changes) =>
    changes.keepIdempotentCall({ id: 'call', fingerprint: 'f', result: '', createdAt: 1 }, 0),
  findApiKey: (changes) => changes.findApiKey('kid_1'),
  findLivingKeyNamed: (changes) => changes.findLivingKeyNamed('env_1', 'CI', 0),
  listApiKeysOf: (changes) => changes.listApiKeysOf('env_1', 1_000),
  listSigningKeys: (changes) => changes.listSigningKeys('env_1'),
  findRevocation: (changes) => changes.findRevocation('env_1', 'jti', 'one'),
  keepRevocation: (changes) =>
    changes.keepRevocation(
      { environmentId: 'env_1', kind: 'jti', value: 'one', before: undefined, until: 9 },
      0,
    ),
  updateEnvironment: (changes) => changes.updateEnvironment('env_1', { name: 'Other' }),
  updateApiKey: (changes) => changes.updateApiKey('kid_1', { name: 'CI' }),
  updateSigningKey: (changes) => changes.updateSigningKey('env_1', 'sig_1', { signsUntil: 5 }),
}

/** What every store promises of the records of changes, whatever database is under it. */
export function recordContract(
  name: string,
  open: (t: TestContext) => Promise<RecordedDatabase>,
  { skip = false }: { readonly skip?: string | false } = {},
): void {
  describe(`records of changes on ${name}`, { skip }, () => {
    async function filled(t: TestContext, witness?: Witness) {
      const database = await open(t)
      const store = await database.handle(witness)
      await store.prepare()
      await store.change(async (changes) => {
        await changes.insertEnvironment(environment)
        await changes.insertApiKey(secretKey)
        await changes.insertSigningKey(signingKey)
      })
      const records = await database.records()
      return { ...database, store, records, verify: () => verifyChanges(records, []) }
    }

    it('come with every call that writes, and with no other', async (t) => {
      const { store, records, verify } = await filled(t)
      let before = await everything(store)
      const recorded: string[] = []
      for (const [method, call] of Object.entries(calls)) {
        await store.change(call)
        const after = await everything(store)
        const isWritten = JSON.stringify(before.rows) !== JSON.stringify(after.rows)
        assert.equal(after.head?.n, (before.head?.n ?? 0) + (isWritten ? 1 : 0), method)
        if (isWritten) {
          const [record] = await records.last(1)
          assert.deepEqual([record?.revision, record?.sha256], [after.revision, after.head?.sha256], method)
          assert.match(record?.line ?? '', /"changes":\[\{"what":"[\w ]+"/)
          recorded.push(method)
        }
        before = after
      }
      const writing = /^(insert|update|keepDataKey|keepRevocation)/
      assert.deepEqual(
        recorded,
        Object.keys(calls).filter((method) => writing.test(method)),
      )
      assert.equal((await verify()).broken, undefined)
    })

    it('are not there without their change, nor a change without its record', async (t) => {
      const { store, records, run } = await filled(t)
      const before = await everything(store)
      const halfway = store.change(async (changes) => {
        await changes.updateApiKey('kid_1', { name: 'CI' })
        throw new Error('halfway')
      })
      await assert.rejects(halfway, /halfway/)
      assert.deepEqual(await everything(store), before)
      assert.equal((await all(records.after(0))).length, 1)
      await run('alter table change_aspect rename to elsewhere')
      await assert.rejects(store.change((changes) => changes.updateApiKey('kid_1', { name: 'CI' })))
      await run('alter table elsewhere rename to change_aspect')
      assert.deepEqual(await everything(store), before)
    })

    it('say when, by whom and what was set, in one line that names the one before', async (t) => {
      const actors: Actor[] = [
        { by: 'command line', user: 'ops' },
        { by: 'secret key', keyId: 'kid_1', requestId: 'r-1', address: '192.0.2.1' },
      ]
      const actor = () => actors.shift() ?? { by: 'server' }
      const { store, records } = await filled(t, { now: () => START_MS, actor })
      const revocation = { environmentId: 'env_1', kind: 'subject', value: 'zoë', before: 100 } as const
      await store.change(async (changes) => {
        await changes.keepRevocation({ ...revocation, until: 200 }, 0)
        await changes.updateApiKey('kid_1', { grant: undefined, revokedAt: 2_000 })
      })
      const [first, second] = await all(records.after(0))
      assert.equal(first?.sha256, sha256(first?.line ?? ''))
      assert.equal(
        second?.line,
        `{"v":1,"at":"2026-11-22T12:00:00.000Z","prev":"${first?.sha256}","n":2,"type":"changed","revision":2,"by":"secret key","keyId":"kid_1","requestId":"r-1","address":"192.0.2.1","changes":[{"what":"tokens of a subject revoked","environmentId":"env_1","subject":"zoë","set":{"before":"1970-01-01T00:01:40.000Z","until":"1970-01-01T00:03:20.000Z"}},{"what":"secret key revoked","environmentId":"env_1","keyId":"kid_1","set":{"grant":null,"revokedAt":"1970-01-01T00:00:02.000Z"}}]}`,
      )
      assert.match(
        first?.line ?? '',
        /"revision":1,"by":"command line","user":"ops","changes":\[\{"what":"environment created","environmentId":"env_1","set":\{"name":"One","tag":"live","settings":\{\}\}\}/,
      )
    })

    it('tell of a data key that was sealed anew, and not of one that was not', async (t) => {
      const { store, records, verify } = await filled(t)
      await store.change((changes) => changes.keepDataKey(Buffer.of(1)))
      await store.changeDataKey(async (sealed) => sealed)
      assert.equal((await records.last(9)).length, 2)
      await store.changeDataKey(async () => Buffer.of(2))
      const [record] = await records.last(1)
      assert.match(
        record?.line ?? '',
        /"revision":3,"by":"server","changes":\[\{"what":"data key sealed anew"\}\]/,
      )
      assert.equal((await verify()).broken, undefined)
    })

    it('hold nothing that is secret, sealed, a digest or the text of a key', async (t) => {
      const { store, records } = await filled(t)
      const canary = (mark: string) => `canary-${mark}`
      const sealedSecret = Buffer.from(canary('sealed'))
      const key: ApiKey = {
        ...secretKey,
        id: 'kid_2',
        digest: canary('digest'),
        hint: canary('hint'),
        text: canary('text'),
        sealedSecret,
      }
      await store.change(async (changes) => {
        await changes.keepDataKey(sealedSecret)
        await changes.insertAdminKey({ digest: canary('admin'), hint: canary('admin-hint'), createdAt: 1 })
        await changes.insertApiKey(key)
        await changes.insertSigningKey({
          ...signingKey,
          kid: 'sig_2',
          sealedSecret,
          publicJwk: canary('jwk'),
        })
        await changes.updateEnvironment('env_1', { turn: { urls: ['turn:a'], sealedSecret } })
        await changes.updateEnvironment('env_1', { turn: undefined })
        await changes.keepIdempotentCall(
          { id: canary('call'), fingerprint: canary('print'), result: canary('result'), createdAt: 1 },
          0,
        )
      })
      const [, record] = await all(records.after(0))
      assert.doesNotMatch(record?.line ?? '', /canary/)
      for (const encoding of ['base64url', 'hex', 'base64'] as const) {
        assert.ok(!record?.line.includes(sealedSecret.toString(encoding)))
      }
      assert.match(record?.line ?? '', /"localSigning":true.+"turn":\{"urls":\["turn:a"\]\}.+"turn":null/)
    })

    it('are one chain in the order of revisions, however many processes write at once', async (t) => {
      const { store, handle, records, verify } = await filled(t)
      const other = await handle()
      const rename = (used: Store, index: number) =>
        used.change(async (changes) => {
          // Some of them change nothing.
          if (index % 5 > 0) await changes.updateApiKey('kid_1', { name: `${index}` })
        })
      await Promise.all(Array.from({ length: 40 }, (_, index) => rename(index % 2 ? store : other, index)))
      const { broken, records: count, head } = await verify()
      assert.deepEqual([broken, count], [undefined, 33])
      assert.deepEqual((await changesSince(store, 0)).recordHead, head)
      const lines = await all(records.after(0))
      assert.deepEqual(
        lines.map(({ n }) => n),
        lines.map((_, index) => index + 1),
      )
    })

    it('are found by what is asked for, by their time, and all of them where there are many', async (t) => {
      let now = START_MS
      let actor: Actor = { by: 'server' }
      const { store, records, run } = await filled(t, { now: () => now, actor: () => actor })
      const at = async (hours: number, work: (changes: ChangeSet) => Promise<void>) => {
        now = START_MS + hours * 3_600_000
        await store.change(work)
      }
      const revoke = (kind: 'jti' | 'subject' | 'key', value: string) => (changes: ChangeSet) =>
        changes.keepRevocation({ environmentId: 'env_1', kind, value, before: 1, until: 9 }, 0)
      await at(1, (changes) => changes.updateSigningKey('env_1', 'sig_1', { signsUntil: 5 }))
      await at(2, (changes) => changes.insertEnvironment({ ...environment, id: 'env_2', name: 'Two' }))
      await at(3, revoke('subject', 'zoë \'"{'))
      actor = { by: 'secret key', keyId: 'kid_1' }
      await at(4, revoke('jti', 'one'))
      // A clock that is behind: the revision says in which order things were done, the time when.
      await at(0, revoke('key', 'kid_2'))
      const cases: [ChangeQuestion, number[]][] = [
        [{}, [1, 6, 2, 3, 4, 5]],
        [{ environmentId: 'env_1' }, [1, 6, 2, 4, 5]],
        [{ environmentId: 'env_2' }, [3]],
        [{ environmentId: 'env' }, []],
        [{ keyId: 'kid_1' }, [1, 6, 5]],
        [{ keyId: 'kid_2' }, [6]],
        [{ keyId: 'sig_1' }, [1, 2]],
        [{ subject: 'zoë \'"{' }, [4]],
        [{ subject: 'zoë' }, []],
        [{ jti: 'one', keyId: 'kid_1', environmentId: 'env_1' }, [5]],
        [{ jti: 'one', subject: 'zoë' }, []],
        [{ since: START_MS + 1, until: START_MS + 4 * 3_600_000 }, [2, 3, 4]],
        [{ until: START_MS }, []],
        [{ subject: 'a\0b' }, []],
      ]
      for (const [question, revisions] of cases) {
        const found = await all(records.find(question))
        assert.deepEqual(
          found.map(({ revision }) => revision),
          revisions,
          JSON.stringify(question),
        )
      }
      // Rows as many changes would leave them, and as a search sees them.
      await run(`
        with recursive copy (i) as (select 7 union all select i + 1 from copy where i < 1200)
        insert into change_record select i, i, at, line, sha256 from change_record, copy where revision = 5`)
      await run(`
        insert into change_aspect select 'subject', 'often', revision from change_record where revision > 100`)
      assert.equal((await all(records.find({ subject: 'often' }))).length, 1_100)
      assert.equal((await all(records.find({}))).length, 1_200)
      assert.equal((await all(records.after(1))).length, 1_199)
      assert.deepEqual(
        (await records.last(2)).map(({ revision }) => revision),
        [1_199, 1_200],
      )
    })

    it('show where one was edited, removed, swapped or hidden, or where rows came without one', async (t) => {
      const { store, records, run, verify } = await filled(t)
      for (let index = 2; index <= 6; index += 1) {
        await store.change((changes) => changes.updateApiKey('kid_1', { name: `name ${index}` }))
      }
      const lines = await all(records.after(0))
      const text = (value: string) => `'${value.replaceAll("'", "''")}'`
      const put = (revision: number, line: string, hash = sha256(line)) =>
        `update change_record set line = ${text(line)}, sha256 = '${hash}' where revision = ${revision}`
      const without = (revision: number) => [
        `delete from change_aspect where revision = ${revision}`,
        `delete from change_record where revision = ${revision}`,
      ]
      const [third, fourth] = [lines[2], lines[3]]
      assert.ok(third !== undefined && fourth !== undefined)
      const forged = third.line.replace('name 3', 'name X')
      const cases: [what: string, statements: string[], revision: number, reason: string][] = [
        ['a line', [put(3, forged, third.sha256)], 3, 'edited'],
        ['a line and its hash', [put(3, forged)], 3, 'edited'],
        ['no record', [put(3, '{}')], 3, 'edited'],
        ['no JSON', [put(6, `${lines[5]?.line.slice(0, -1)}`)], 6, 'edited'],
        ['its time', ["update change_record set at = '2020' where revision = 3"], 3, 'edited'],
        ['its number', ['update change_record set n = 9 where revision = 3'], 3, 'edited'],
        [
          'what it is found by',
          ["delete from change_aspect where revision = 3 and aspect = 'key'"],
          3,
          'edited',
        ],
        ['one', without(3), 4, 'missing'],
        ['the first', without(1), 2, 'missing'],
        ['the last', without(6), 6, 'missing'],
        ['two', [put(3, fourth.line), put(4, third.line)], 3, 'swapped'],
        ['a key', ["update signing_key set revision = 99 where kid = 'sig_1'"], 99, 'missing'],
      ]
      assert.equal((await verify()).broken, undefined)
      const tables = ['change_record', 'change_aspect', 'signing_key']
      for (const table of tables) await run(`create table kept_${table} as select * from ${table}`)
      for (const [what, statements, revision, reason] of cases) {
        for (const statement of statements) await run(statement)
        const { broken } = await verify()
        assert.deepEqual([broken?.revision, broken?.reason], [revision, reason], `${what}: ${broken?.detail}`)
        for (const table of tables.toReversed()) await run(`delete from ${table}`)
        for (const table of tables) await run(`insert into ${table} select * from kept_${table}`)
        assert.equal((await verify()).broken, undefined, what)
      }
    })

    it('tell which anchors are among them: one that was cut off is not', async (t) => {
      const { store, records } = await filled(t)
      await store.change((changes) => changes.updateApiKey('kid_1', { name: 'CI' }))
      const head = (await changesSince(store, 0)).recordHead?.sha256 ?? ''
      const { anchors } = await verifyChanges(records, [head, 'a'.repeat(64)])
      assert.deepEqual(anchors, [head])
    })
  })
}

async function everything(store: Store) {
  const { revision, recordHead: head, ...rows } = await changesSince(store, 0)
  return { head, revision, rows: { ...rows, dataKey: await store.sealedDataKey() } }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  return await Array.fromAsync(items)
}
