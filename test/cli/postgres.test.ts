import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { examineDatabase } from '../../src/doctor/database.ts'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { everythingIn, install, takeMasterKey, useInstallation } from '../helpers/installation.ts'
import { usePostgres, withoutPostgres, withPassword } from '../helpers/postgres.ts'
import { run, startServer, temporaryFolder } from '../helpers/process.ts'
import { inFull } from '../helpers/scale.ts'

const ADMIN_KEY = writeKey('admin', undefined, new Uint8Array(32))
const MASTER_KEY = Buffer.alloc(32, 1).toString('base64')
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64')
const JETON = join(import.meta.dirname, '../../src/cli/jeton.ts')
const postgres = usePostgres()

const moved = z.object({ to: z.string(), rows: z.record(z.string(), z.number()) })

/** Every file of a folder with its content. */
function contentOf(folder: string) {
  return readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name)).toString('hex')])
}

/** An installation with some of everything, and a good many keys. */
async function installWithAll(t: TestContext, keys: number) {
  const made = await install(t)
  const { environment, keyId } = made
  await made.use(async ({ store, environments }) => {
    await environments.create('Zoë’s – "other" 𐀀')
    const key = await store.findApiKey(keyId)
    assert.ok(key)
    await store.change(async (changes) => {
      for (let index = 0; index < keys; index += 1) {
        const id = `${'aAbB'.charAt(index % 4)}${index}`
        await changes.insertApiKey({ ...key, id, digest: id, name: `Name "${index}" – ä` })
      }
      const revoked = {
        environmentId: environment.id,
        kind: 'subject',
        value: 'ämil',
        before: 5,
        until: 2 ** 40,
      } as const
      await changes.keepRevocation(revoked, 0)
      await changes.keepIdempotentCall({ id: 'call', fingerprint: 'f', result: '{}', createdAt: 1 }, 0)
      await changes.insertAdminKey({ digest: 'admin', hint: 'ak_…', createdAt: 1 })
    })
    await store.noteUses(new Map([[keyId, 60_000]]))
  })
  return made
}

describe('jeton migrate-store', { skip: withoutPostgres }, () => {
  it('moves everything, and leaves what it came from as it was', async (t) => {
    const { DATA_DIR, use, jeton, elsewhere } = await installWithAll(t, 1_234)
    const alert = { id: 'alr_1', environmentId: 'env_1', keyId: '', minute: 1, issued: 90, median: 2.5 }
    const notice = { id: 'alr_1_raised', body: '{}', createdAt: 1 }
    await use(({ store }) => store.alerts.raise(alert, notice))
    const all = await use(everythingIn)
    const before = contentOf(DATA_DIR)
    const DATABASE_URL = await postgres.schema()
    writeFileSync(join(elsewhere, 'url'), `${DATABASE_URL}\n`)
    const ended = await jeton(['migrate-store', DATA_DIR, '--json'], {
      DATABASE_URL_FILE: join(elsewhere, 'url'),
    })
    assert.equal(ended.stderr, '')
    const { rows } = moved.parse(JSON.parse(ended.stdout))
    assert.equal(rows.api_key, 1_234 + 4)
    assert.deepEqual([rows.environment, rows.revocation, rows.idempotent_call, rows.data_key], [2, 1, 1, 1])
    assert.deepEqual(contentOf(DATA_DIR), before)
    const there = { DATABASE_URL, DATA_DIR: await temporaryFolder(t) }
    takeMasterKey(DATA_DIR, there.DATA_DIR)
    const { revision, recordHead, ...found } = await useInstallation(there, everythingIn)
    const { revision: revisionBefore, recordHead: last, ...rest } = all
    assert.deepEqual(found, rest)
    assert.deepEqual(
      [revision, recordHead?.n],
      [revisionBefore + 1, (last?.n ?? 0) + 1],
      'the move has a record',
    )
    await useInstallation(there, async ({ store }) => {
      assert.equal((await store.alerts.list(0))[0]?.median, 2.5)
      assert.equal((await store.alerts.takeNotice(1, 2))?.id, notice.id)
    })
    const [call] = await postgres.query('select * from idempotent_call', DATABASE_URL)
    assert.deepEqual(call, { id: 'call', fingerprint: 'f', result: '{}', created_at: '1' })
    const added = await run('cli/jeton.ts', ['environments', 'create', 'Third'], there)
    assert.equal(added.code, 0, added.stderr)
  })

  it('moves a backup, and a database of an older version', async (t) => {
    const { file, jeton, elsewhere, use } = await installWithAll(t, 3)
    assert.equal((await jeton(['backup', file])).code, 0)
    const database = new DatabaseSync(file)
    for (const table of ['api_key', 'signing_key']) {
      database.exec(`drop index ${table}_in_order`)
      database.exec(`create index ${table}_by_revision on ${table} (revision)`)
    }
    database.exec('drop index environment_in_order')
    database.exec('create index environment_by_revision on environment (revision)')
    for (const name of ['api_key_by_environment', 'api_key_by_name', 'idempotent_call_by_age']) {
      database.exec(`drop index ${name}`)
    }
    const usage = ['usage_minute', 'usage_hour', 'usage_subjects', 'usage_mark']
    const later = ['revocation', 'change_aspect', 'change_record', ...usage, 'alert', 'alert_notice']
    for (const table of later) database.exec(`drop table ${table}`)
    database.exec('alter table api_key drop column sealed_secret')
    database.exec('alter table signing_key drop column exported_at')
    database.exec("delete from kysely_migration where name > '0002-z'")
    database.close()
    const before = contentOf(elsewhere)
    const DATABASE_URL = await postgres.schema()
    const ended = await jeton(['migrate-store', file, DATABASE_URL])
    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stdout, /^api_key +7$/m)
    assert.match(ended.stdout, /same master key/)
    assert.ok(!ended.stdout.includes(`:${new URL(DATABASE_URL).password}@`))
    assert.deepEqual(contentOf(elsewhere), before)
    const { apiKeys } = await use(everythingIn, { DATABASE_URL })
    assert.equal(apiKeys.length, 7)
  })

  it('refuses what it cannot do, and changes nothing', async (t) => {
    const { DATA_DIR, jeton, elsewhere } = await install(t)
    const empty = await postgres.schema()
    const taken = await postgres.schema()
    assert.equal((await jeton(['migrate-store', DATA_DIR, taken])).code, 0)
    const text = join(elsewhere, 'text')
    writeFileSync(text, 'no database'.repeat(1_000))
    const refused: [string[], RegExp][] = [
      [[DATA_DIR, taken], /holds a Jeton already: give it an empty one/],
      [[elsewhere, empty], /There is no database .*jeton\.db/],
      [[text, empty], /file is not a database/],
      [[DATA_DIR, withPassword(empty, 'hunter2')], /authentication failed/],
      [[DATA_DIR, 'mysql://root:hunter2@host/db'], /URL of the database must be a URL like postgres/],
      [[DATA_DIR], /DATABASE_URL is not set/],
    ]
    const before = contentOf(DATA_DIR)
    for (const [args, message] of refused) {
      const ended = await jeton(['migrate-store', ...args])
      assert.equal(ended.code, 1)
      assert.match(ended.stderr, message)
      assert.match(ended.stderr, /^[^\n]+\n$/)
      assert.doesNotMatch(ended.stderr, /hunter2/)
    }
    assert.deepEqual(contentOf(DATA_DIR), before)
    assert.deepEqual(
      await postgres.query('select tablename from pg_tables where schemaname = current_schema()', empty),
      [],
    )
  })

  it('refuses while a server runs on the database', async (t) => {
    const { DATA_DIR, jeton } = await install(t)
    const url = await postgres.schema()
    const server = await startServer(t, { DATA_DIR })
    const ended = await jeton(['migrate-store', DATA_DIR, url])
    assert.deepEqual([ended.code, ended.stdout], [1, ''])
    assert.match(ended.stderr, /A Jeton has .* open: stop it first/)
    await server.stop('SIGKILL')
    assert.equal((await jeton(['migrate-store', DATA_DIR, url])).code, 0)
  })

  it('moves all or nothing, whenever it is killed', async (t) => {
    const { DATA_DIR, use } = await installWithAll(t, 3_000)
    const { recordHead, revision, ...all } = await use(everythingIn)
    const outcomes = new Set<string>()
    for (let index = 0; index < inFull(100, 10); index += 1) {
      const DATABASE_URL = await postgres.schema()
      const child = spawn(process.execPath, [JETON, 'migrate-store', DATA_DIR], {
        env: { PATH: process.env.PATH ?? '', DATABASE_URL },
        stdio: 'ignore',
      })
      const ended = once(child, 'close')
      // From when it begins to write there, and a little on each time.
      const isWriting = `select 1 from pg_stat_activity where query like 'insert into "%' and datname = current_database()`
      while (child.exitCode === null && (await postgres.query(isWriting)).length === 0) await pause(2)
      await pause((index * 40) % 600)
      child.kill('SIGKILL')
      await ended
      const tables = await postgres.query(
        'select tablename from pg_tables where schemaname = current_schema()',
        DATABASE_URL,
      )
      outcomes.add(tables.length === 0 ? 'nothing' : 'all')
      if (tables.length === 0) continue
      const { recordHead: head, revision: last, ...moved } = await use(everythingIn, { DATABASE_URL })
      assert.deepEqual(moved, all)
      // The move has a record of its own.
      assert.deepEqual([head?.n, last], [(recordHead?.n ?? 0) + 1, revision + 1])
    }
    assert.ok(outcomes.has('nothing'))
    // What a kill left beside the database is in nobody's way.
    const DATABASE_URL = await postgres.schema()
    const again = await run('cli/jeton.ts', ['migrate-store', DATA_DIR], { DATABASE_URL })
    assert.equal(again.code, 0, again.stderr)
    assert.ok(!existsSync(join(DATA_DIR, 'jeton.db.moving')))
  })
})

describe('the command line on a PostgreSQL', { skip: withoutPostgres }, () => {
  const begin = async (t: TestContext) => {
    const env = {
      DATABASE_URL: await postgres.schema(),
      DATA_DIR: await temporaryFolder(t),
      MASTER_KEY,
      ADMIN_KEY,
    }
    const jeton = (args: readonly string[], more: Record<string, string> = {}) =>
      run('cli/jeton.ts', args, { ...env, ...more })
    const made = await jeton(['environments', 'create', 'One'])
    assert.equal(made.code, 0, made.stderr)
    return { env, jeton }
  }

  it('looks for what needs mending', async (t) => {
    const { env, jeton } = await begin(t)
    const sound = await jeton(['doctor'])
    assert.equal(sound.code, 0, sound.stdout)
    assert.match(sound.stdout, /^ok {4}the database \S+ \(PostgreSQL [\d.]+.*\) can be read$/m)
    assert.match(sound.stdout, /the clock agrees with the database’s/)
    assert.match(sound.stdout, /the master key opens the database/)
    const mended: [Record<string, string>, RegExp][] = [
      [{ DATABASE_URL: withPassword(env.DATABASE_URL, 'hunter2') }, /mend.*authentication failed/],
      [{ DATABASE_URL: await postgres.schema() }, /mend.*holds no Jeton yet/],
      [{ DATABASE_URL: 'postgres:hunter2' }, /mend.*DATABASE_URL must be a URL/],
      [{ MASTER_KEY: OTHER_KEY }, /mend.*master key does not open the database/],
    ]
    for (const [more, fault] of mended) {
      const found = await jeton(['doctor'], more)
      assert.equal(found.code, 1)
      assert.match(found.stdout, fault)
      assert.doesNotMatch(found.stdout + found.stderr, /hunter2/)
    }
    const standby = `${env.DATABASE_URL}%20-c%20default_transaction_read_only%3Don`
    const report = { dataDir: env.DATA_DIR, databaseUrl: standby, isEmbedded: false }
    const { checks } = await examineDatabase(report, systemSeams)
    assert.deepEqual(
      checks.filter(({ state }) => state === 'mend').map(({ how }) => how),
      ['name the primary in DATABASE_URL'],
    )
  })

  it('leaves backups to PostgreSQL, and says so', async (t) => {
    const { jeton } = await begin(t)
    for (const args of [
      ['backup', '/nowhere/file'],
      ['restore', '/nowhere/file', '--yes'],
    ]) {
      const ended = await jeton(args)
      assert.equal(ended.code, 1)
      assert.match(ended.stderr, /^[^\n]*pg_dump[^\n]*Nothing was changed\.\n$/)
    }
  })

  it('changes the master key, configured or generated', async (t) => {
    const { env, jeton } = await begin(t)
    const both = { MASTER_KEY: `${OTHER_KEY},${MASTER_KEY}` }
    assert.equal((await jeton(['master-key', 'rotate'], both)).code, 0)
    assert.equal((await jeton(['keys', 'list'], { MASTER_KEY: OTHER_KEY })).code, 0)
    assert.equal((await jeton(['keys', 'list'])).code, 1)
    writeFileSync(join(env.DATA_DIR, 'master.key'), OTHER_KEY, { mode: 0o600 })
    assert.equal((await jeton(['master-key', 'rotate', '--yes'], { MASTER_KEY: '' })).code, 0)
    assert.notEqual(readFileSync(join(env.DATA_DIR, 'master.key'), 'utf8').trim(), OTHER_KEY)
    assert.equal((await jeton(['keys', 'list'], { MASTER_KEY: '' })).code, 0)
  })

  it('begins nothing where a command only reads', async (t) => {
    const url = await postgres.schema()
    const ended = await run('cli/jeton.ts', ['keys', 'list'], {
      DATABASE_URL: url,
      DATA_DIR: await temporaryFolder(t),
      MASTER_KEY,
    })
    assert.equal(ended.code, 1)
    assert.match(ended.stderr, /There is no Jeton in the database that DATABASE_URL names/)
    assert.deepEqual(
      await postgres.query('select tablename from pg_tables where schemaname = current_schema()', url),
      [],
    )
  })
})
