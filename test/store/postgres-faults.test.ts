import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { openPostgres } from '../../src/store/open-postgres.ts'
import { SERVING } from '../../src/store/postgres-database.ts'
import type { AdminKey, Store } from '../../src/store/store.ts'
import { brokenWay } from '../helpers/broken-way.ts'
import { changesSince } from '../helpers/changes.ts'
import { type OwnPostgres, startPostgres, withoutOwnPostgres } from '../helpers/postgres.ts'

const HASTY = { ...SERVING, patienceMs: 300, statementMs: 300 }
const UNAVAILABLE = { name: 'JetonError', error: 'store_unavailable', retryAfterSeconds: 1 }

describe('PostgreSQL', { skip: withoutOwnPostgres }, () => {
  let postgres: OwnPostgres
  before(async () => {
    postgres = await startPostgres()
  })
  after(() => postgres?.end())

  async function opened(t: TestContext, url: string, use = SERVING): Promise<Store> {
    const store = await openPostgres(url, { use })
    t.after(() => store.close())
    await store.prepare()
    return store
  }

  describe('at a start', () => {
    const withParameters = (more: string) => (url: string) => `${url}&${more}`
    const refusals: Record<string, { url: (url: string) => string; sql?: string[]; message: RegExp }> = {
      'a wrong password': {
        url: (url) => url.replace(':test@', ':s3cret-wrong@'),
        message: /password authentication failed.*DATABASE_URL/,
      },
      'a password that is missing': {
        url: (url) => url.replace(':test@', '@'),
        message: /password must be.*DATABASE_URL/,
      },
      'an unknown user': {
        url: (url) => url.replace('postgres:test@', 'nobody-here:s3cret@'),
        message: /authentication failed.*nobody-here/,
      },
      'an unknown database': {
        url: (url) => url.replace('/postgres?', '/nowhere?'),
        message: /database "nowhere" does not exist. Create it/,
      },
      'nothing at its port': { url: (url) => url.replace(/:\d+\//, ':1/'), message: /ECONNREFUSED/ },
      'a server without TLS where TLS is wanted': {
        url: withParameters('sslmode=require'),
        message: /does not support SSL.*sslmode/,
      },
      'a parameter that is misspelt': {
        url: withParameters('ssl_mode=require'),
        message: /parameter ssl_mode; only host,/,
      },
      'an sslmode that promises nothing': {
        url: withParameters('sslmode=prefer'),
        message: /another sslmode/,
      },
      'a certificate that is not there': {
        url: withParameters('sslmode=verify-full&sslrootcert=/nowhere.pem'),
        message: /sslrootcert that cannot be read.*nowhere\.pem/,
      },
      'a certificate that is for nothing': {
        url: withParameters('sslrootcert=/nowhere.pem'),
        message: /sslrootcert, which need sslmode/,
      },
      'no user': { url: (url) => url.replace('postgres:test@', ''), message: /names no user/ },
      'no database': { url: (url) => url.replace('/postgres?', '/?'), message: /names no database/ },
      'a bad escape': { url: (url) => url.replace(':test@', ':s3cret%zz@'), message: /begins no escape/ },
      // What the server is asked is found in this schema before its own.
      'too old a server': {
        sql: [
          'create schema old',
          `create function old.current_setting(name text) returns text language sql as
          $$ select case name when 'server_version_num' then '120022' else '12.22' end $$`,
        ],
        url: (url) => url.replace(/search_path.*/, 'search_path%3Dold,pg_catalog'),
        message: /is PostgreSQL 12\.22; 13 is the oldest/,
      },
      'another encoding': {
        sql: [
          "create database ascii encoding 'SQL_ASCII' locale 'C' locale_provider 'libc' template template0",
        ],
        url: (url) => url.replace(/\/postgres\?.*/, '/ascii'),
        message: /encoding SQL_ASCII; it must be UTF8/,
      },
      'a schema that is not there': {
        url: (url) => url.replace(/search_path.*/, 'search_path%3Dnowhere'),
        message: /no schema for this user/,
      },
      'a user who may not make tables': {
        sql: ["create role guest login password 's3cret'"],
        url: (url) =>
          url.replace('postgres:test@', 'guest:s3cret@').replace(/search_path.*/, 'search_path%3Dpublic'),
        message: /permission denied for schema public.*own the schema/,
      },
      'too many connections': {
        sql: ["create role crowd login password 's3cret' connection limit 0"],
        url: (url) => url.replace('postgres:test@', 'crowd:s3cret@'),
        message: /too many connections for role "crowd"/,
      },
      'a standby, or what is set to read only': {
        sql: [
          "create role reader login superuser password 's3cret'",
          'alter role reader set default_transaction_read_only = on',
        ],
        url: (url) => url.replace('postgres:test@', 'reader:s3cret@'),
        message: /read-only transaction.*primary/,
      },
    }

    for (const [name, { url, sql = [], message }] of Object.entries(refusals)) {
      it(`refuses ${name} in one line, without the password`, async () => {
        for (const statement of sql) await postgres.query(statement)
        const there = url(await postgres.schema())
        const error = await openPostgres(there)
          .then((store) => store.prepare().finally(store.close))
          .then(
            () => assert.fail('It was opened'),
            (thrown: unknown) => thrown,
          )
        assert.ok(error instanceof Error && error.name === 'StoreError', String(error))
        assert.match(error.message, message)
        assert.match(error.message, /Nothing was changed\.$/)
        assert.doesNotMatch(error.message, /s3cret|test@|\n/)
      })
    }

    it('waits no longer than its time for a server that does not answer', async (t) => {
      const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
      await once(silent, 'listening')
      t.after(() => silent.close())
      const address = silent.address()
      assert.ok(address !== null && typeof address !== 'string')
      const url = `postgres://user:s3cret@127.0.0.1:${address.port}/database`
      await assert.rejects(openPostgres(url, { use: HASTY }), {
        name: 'StoreError',
        message: /does not answer in time\. Nothing was changed\.$/,
      })
    })

    it('needs no more than a schema of its own, whatever other programs keep in theirs', async (t) => {
      await postgres.query('create schema theirs')
      await postgres.query('create table theirs.kysely_migration (name text)')
      await postgres.query("insert into theirs.kysely_migration values ('of another program')")
      await postgres.query("create role modest login password 'own'")
      await postgres.query('create schema modest authorization modest')
      const url = postgres.url.replace('postgres:test@', 'modest:own@')
      const store = await opened(t, url.replace('modest:own@', 'modest:own@'))
      await store.change((changes) => changes.insertAdminKey(adminKey('one')))
      assert.equal((await changesSince(store, 0)).adminKeys.length, 1)
      const tables = await postgres.query(
        "select distinct schemaname from pg_tables where tablename = 'api_key'",
      )
      assert.deepEqual(tables.filter(({ schemaname }) => schemaname === 'modest').length, 1)
    })

    it('compares every text of ours by its bytes', async (t) => {
      const url = await postgres.schema()
      await opened(t, url)
      const columns = await postgres.query(
        `select table_name, column_name from information_schema.columns where table_schema = current_schema()
        and data_type = 'text' and collation_name is distinct from 'C'`,
        url,
      )
      assert.deepEqual(columns, [])
    })
  })

  describe('while a Jeton runs', () => {
    it('goes and comes back: nothing is changed meanwhile, and no process ends', async (t) => {
      const store = await opened(t, await postgres.schema())
      await store.change((changes) => changes.insertAdminKey(adminKey('before')))
      for (const how of ['fast', 'immediate'] as const) {
        await postgres.stop(how)
        const work = () => store.change((changes) => changes.insertAdminKey(adminKey('meanwhile')))
        await assert.rejects(work(), UNAVAILABLE)
        await assert.rejects(changesSince(store, 0), UNAVAILABLE)
        await assert.rejects(store.findApiKey('kid_1'), UNAVAILABLE)
        await assert.rejects(store.noteUses(new Map([['kid_1', 1]])), UNAVAILABLE)
        await postgres.start()
        await store.change((changes) => changes.insertAdminKey(adminKey(how)))
      }
      const { adminKeys } = await changesSince(store, 0)
      assert.deepEqual(adminKeys.map(({ digest }) => digest).sort(), ['before', 'fast', 'immediate'])
    })

    it('hangs: what asks ends in time, and is answered again when it goes on', async (t) => {
      const store = await opened(t, await postgres.schema(), HASTY)
      postgres.signal('SIGSTOP')
      try {
        await assert.rejects(
          store.change(async () => undefined),
          UNAVAILABLE,
        )
        await assert.rejects(store.listEnvironments(), UNAVAILABLE)
      } finally {
        postgres.signal('SIGCONT')
      }
      assert.equal(await store.change(async ({ revision }) => revision), 1)
      assert.deepEqual(await store.listEnvironments(), [])
    })

    it('cuts a change off in the middle: nothing of it was made', async (t) => {
      const url = await postgres.schema()
      const store = await opened(t, url)
      const cut = store.change(async (changes) => {
        await changes.insertAdminKey(adminKey('halfway'))
        await postgres.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'`,
        )
        await changes.insertAdminKey(adminKey('rest'))
      })
      await assert.rejects(cut, { ...UNAVAILABLE, message: /Nothing was changed/ })
      assert.deepEqual((await changesSince(store, 0)).adminKeys, [])
      assert.equal(await store.change(async ({ revision }) => revision), 1)
    })

    it('says that a change may have been made when the answer to its commit was lost', async (t) => {
      const url = await postgres.schema()
      const direct = await opened(t, url)
      const store = await opened(t, await brokenWay(t, url, (sent) => /commit\0/.test(sent)))
      await assert.rejects(
        store.change((changes) => changes.insertAdminKey(adminKey('one'))),
        { error: 'store_unavailable', retryAfterSeconds: undefined, message: /may have been made/ },
      )
      assert.equal((await changesSince(direct, 0)).adminKeys.length, 1)
    })

    it('has a batch of usage once, though the answer to its commit was lost', async (t) => {
      const url = await postgres.schema()
      const direct = await opened(t, url)
      const store = await opened(t, await brokenWay(t, url, (sent) => /commit\0/.test(sent)))
      const one = {
        environmentId: 'env_1',
        keyId: 'kid_1',
        format: 'user',
        outcome: 'issued',
        minute: 7,
        count: 3,
      }
      const batch = { chain: 'ins_1', after: 0, upTo: 3, counts: [one], sketches: [], at: 7 }
      await assert.rejects(store.usage.add(batch), {
        error: 'store_unavailable',
        message: /may have been made/,
      })
      assert.equal(await direct.usage.add(batch), 3)
      const [found] = await direct.usage.minutes({ from: 7, to: 8 })
      assert.equal(found?.issued, 3)
    })

    it('is read while a change waits for another program, and the change ends unmade', async (t) => {
      const url = await postgres.schema()
      const { promise, resolve } = Promise.withResolvers<void>()
      // Before the stores close, which wait for what is under way.
      t.after(() => resolve())
      const store = await opened(t, url, { ...SERVING, patienceMs: 1_000 })
      const other = await opened(t, url)
      const holding = Promise.withResolvers<void>()
      const slow = other.change(() => {
        holding.resolve()
        return promise
      })
      await Promise.race([holding.promise, slow])
      const refusal = { ...UNAVAILABLE, message: /written to by others.*not made/ }
      let waiting = true
      const refused = Promise.all(
        [1, 2, 3].map(() =>
          assert.rejects(
            store.change(async () => undefined),
            UNAVAILABLE,
          ),
        ),
      ).finally(() => {
        waiting = false
      })
      assert.equal((await changesSince(store, 0)).revision, 0)
      assert.ok(waiting)
      await refused
      await assert.rejects(
        store.change(async () => undefined),
        refusal,
      )
      resolve()
      await slow
      assert.equal(await store.change(async ({ revision }) => revision), 2)
    })

    it('takes no changes any more: they end as unavailable, and reads go on', async (t) => {
      await postgres.query("create role turning login superuser password 'own'")
      const store = await opened(t, (await postgres.schema()).replace('postgres:test@', 'turning:own@'))
      await store.change(async () => undefined)
      await postgres.query('alter role turning set default_transaction_read_only = on')
      await postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'turning'")
      const changed = () => store.change(async () => undefined)
      // The first may still meet the connection that was cut.
      await assert.rejects(changed(), UNAVAILABLE)
      await assert.rejects(changed(), UNAVAILABLE)
      assert.equal((await changesSince(store, 0).catch(() => changesSince(store, 0))).revision, 1)
    })

    it('has no room left: changes end as unavailable and unmade, reads go on, and it takes changes again', async (t) => {
      const url = await postgres.schema()
      const store = await opened(t, url)
      // As PostgreSQL itself says it: https://www.postgresql.org/docs/current/errcodes-appendix.html, disk_full.
      await postgres.query(
        `create function is_full() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`,
        url,
      )
      await postgres.query(
        'create trigger full_disk before insert on change_record execute function is_full()',
        url,
      )
      const change = (name: string) => store.change((changes) => changes.insertAdminKey(adminKey(name)))
      await assert.rejects(change('meanwhile'), { ...UNAVAILABLE, message: /Nothing was changed/ })
      const { revision, adminKeys } = await changesSince(store, 0)
      assert.deepEqual([revision, adminKeys], [0, []])
      await postgres.query('drop trigger full_disk on change_record', url)
      await change('later')
      assert.deepEqual(
        (await changesSince(store, 0)).adminKeys.map(({ digest }) => digest),
        ['later'],
      )
    })

    it('speaks TLS, and is believed only with a certificate that is its own', async (t) => {
      const file = (name: string) => join(import.meta.dirname, `../fixtures/localhost-${name}.pem`)
      await postgres.encrypt({ cert: file('cert'), key: file('key') })
      const url = await postgres.schema()
      const trusted = `sslrootcert=${encodeURIComponent(file('cert'))}`
      const isEncrypted = async (parameters: string) => {
        const store = await opened(t, `${url}&${parameters}`)
        await store.change(async () => undefined)
        const rows = await postgres.query(
          "select bool_and(ssl) as all from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'jeton'",
        )
        await store.close()
        return rows[0]?.all
      }
      assert.equal(await isEncrypted('sslmode=no-verify'), true)
      for (const mode of ['require', 'verify-ca', 'verify-full']) {
        assert.equal(await isEncrypted(`sslmode=${mode}&${trusted}`), true)
        await assert.rejects(openPostgres(`${url}&sslmode=${mode}`), {
          name: 'StoreError',
          message: /self.signed certificate.*sslrootcert/,
        })
      }
      // Its certificate names localhost and 127.0.0.1.
      const way = await brokenWay(t, url, () => false, '127.0.0.2')
      await assert.rejects(openPostgres(`${way}&sslmode=verify-full&${trusted}`), {
        name: 'StoreError',
        message: /127\.0\.0\.2.*altnames/,
      })
    })

    it('leaves nothing of a change whose work goes on behind a refused statement', async (t) => {
      const store = await opened(t, await postgres.schema())
      const work = store.change(async (changes) => {
        await changes.insertAdminKey(adminKey('one'))
        await changes.insertAdminKey(adminKey('one')).catch(() => undefined)
      })
      // Its record cannot be written any more.
      await assert.rejects(work, { error: 'conflict' })
      assert.deepEqual((await changesSince(store, 0)).adminKeys, [])
      await store.change((changes) => changes.insertAdminKey(adminKey('one')))
      const before = await changesSince(store, 0)
      const nothing = store.change(async (changes) => {
        await changes.insertAdminKey(adminKey('one')).catch(() => undefined)
      })
      await assert.rejects(nothing, /rolled the transaction back/)
      assert.deepEqual(await changesSince(store, 0), before)
    })
  })
})

function adminKey(digest: string): AdminKey {
  return { digest, hint: '', createdAt: 0 }
}
