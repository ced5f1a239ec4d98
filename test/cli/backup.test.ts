import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import { changesSince } from '../helpers/changes.ts'
import {
  everythingIn,
  install,
  KILLS,
  mint,
  takeMasterKey,
  useInstallation,
} from '../helpers/installation.ts'
import { run, runAndKill, startServer, temporaryFolder } from '../helpers/process.ts'
import { serveHere } from '../helpers/serve-here.ts'

/** Every file of a folder with its content. */
function contentOf(folder: string) {
  return readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name)).toString('hex')])
}

function edit(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

/** What a backup holds, in a file as the first version of the schema had it: only what that knew of. */
function asFirstVersion(file: string): string {
  const old = `${file}.first`
  const database = new DatabaseSync(old)
  database.exec(readFileSync(new URL('../fixtures/0001-foundation.sql', import.meta.url), 'utf8'))
  database.prepare('attach ? as backup').run(file)
  for (const table of ['revision', 'data_key', 'admin_key', 'environment', 'api_key', 'signing_key']) {
    const columns = database.prepare('select name from pragma_table_info(?)').all(table)
    const names = columns.map(({ name }) => `"${name}"`).join(', ')
    database.exec(`insert into main.${table} (${names}) select ${names} from backup.${table}`)
  }
  database.close()
  return old
}

describe('jeton backup', () => {
  it('copies what a server mints from and others write to, and the same key mints the same way again', async (t) => {
    const { DATA_DIR, file, jeton, use, secretKey } = await install(t)
    const server = await startServer(t, { DATA_DIR })
    let done = false
    const statuses = new Set<number>()
    const minting = (async () => {
      for (let user = 0; !done; user += 1)
        statuses.add((await mint(server.url, secretKey, `user-${user}`)).status)
    })()
    const writing = use(async ({ environments }) => {
      for (let index = 0; !done; index += 1) await environments.create(`Made meanwhile ${index}`)
    })
    const { code, stderr } = await jeton(['backup', file])
    done = true
    await Promise.all([minting, writing])
    assert.deepEqual([code, stderr, [...statuses]], [0, '', [200]])
    const before = decodeProtectedHeader((await mint(server.url, secretKey, 'alice')).token ?? '')

    const other = await temporaryFolder(t)
    takeMasterKey(DATA_DIR, other)
    assert.equal((await run('cli/jeton.ts', ['restore', file, '--yes'], { DATA_DIR: other })).code, 0)
    const second = await serveHere(t, { DATA_DIR: other })
    const { status, token } = await mint(second.url, secretKey, 'alice')
    assert.equal(status, 200)
    assert.deepEqual(decodeProtectedHeader(token ?? ''), before)
  })

  it('is one file for its owner alone, with no secret in it', async (t) => {
    const { DATA_DIR, file, elsewhere, jeton, environment, secretKey } = await install(t)
    const canary = 'a-canary-of-more-than-thirty-two-bytes'
    writeFileSync(join(elsewhere, 'secret'), canary)
    const secret = ['--secret-file', join(elsewhere, 'secret')]
    await jeton(['environments', 'turn', environment.id, '--url', 'turn:a', ...secret])
    const identity = ['--environment', environment.id, '--format', 'user', '--kid', 'k']
    assert.equal((await jeton(['signing-keys', 'import', ...identity, ...secret])).code, 0)
    assert.equal((await jeton(['backup', file])).code, 0)
    assert.deepEqual(readdirSync(elsewhere).sort(), ['backup.db', 'secret'])
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const content = readFileSync(file)
    const masterKey = readFileSync(join(DATA_DIR, 'master.key'), 'utf8').trim()
    for (const text of [
      canary,
      secretKey,
      secretKey.slice(8, 51),
      masterKey,
      Buffer.from(masterKey, 'base64'),
    ]) {
      assert.equal(content.includes(text), false)
    }
  })

  it('takes no file’s place unless it is told to, and never that of Jeton’s own', async (t) => {
    const { DATA_DIR, file, jeton } = await install(t)
    writeFileSync(file, 'something else')
    const refused = await jeton(['backup', file])
    assert.deepEqual([refused.code, readFileSync(file, 'utf8')], [1, 'something else'])
    assert.match(refused.stderr, /is there already: say --force/)
    assert.equal((await jeton(['backup', file, '--force'])).code, 0)
    assert.match(readFileSync(file).toString('latin1'), /^SQLite format 3/)
    for (const name of ['jeton.db', 'jeton.db-wal', 'jeton.lock', 'master.key']) {
      const own = await jeton(['backup', join(DATA_DIR, name), '--force'])
      assert.deepEqual([own.code, own.stderr.includes('that Jeton lives on')], [1, true], name)
    }
    const folder = dirname(file)
    const before = readdirSync(folder)
    const device = join(folder, 'device')
    execFileSync('mkfifo', [device])
    for (const place of [folder, device]) {
      const other = await jeton(['backup', place, '--force'])
      assert.deepEqual([other.code, other.stderr.includes('is there and no file')], [1, true], place)
    }
    assert.equal(statSync(device).isFIFO(), true)
    assert.match((await jeton(['backup', ''])).stderr, /^The backup needs the name of a file\.\n$/)
    assert.deepEqual(readdirSync(folder).sort(), [...before, 'device'].sort())
    const nowhere = await jeton(['backup', '/nowhere/backup.db'])
    assert.match(nowhere.stderr, /^\/nowhere\/backup\.db cannot be written: .*\n$/)
  })

  it('leaves nothing behind when the database is damaged', async (t) => {
    const { DATA_DIR, file, elsewhere, jeton } = await install(t)
    truncateSync(join(DATA_DIR, 'jeton.db'), 40_960)
    const { code, stderr } = await jeton(['backup', file])
    assert.equal(code, 1)
    assert.match(stderr, /jeton\.db (is no whole database|cannot be copied)/)
    assert.deepEqual(readdirSync(elsewhere), [])
  })
})

describe('jeton restore', () => {
  it('ends again what ended after the backup, says so, and lets go of what was made after it', async (t) => {
    const { DATA_DIR, file, jeton, use, environment, keyId, secretKey } = await install(t)
    const create = async (...args: string[]) => JSON.parse((await jeton([...args, '--json'])).stdout)
    const expiring = await create('keys', 'create', '--environment', environment.id)
    const living = await create('keys', 'create', '--environment', environment.id)
    const archived = await create('environments', 'create', 'Old')
    await jeton(['backup', file])
    const newer = await create('keys', 'create', '--environment', environment.id)
    const now = Date.now()
    const revision = await use(async ({ store }) => {
      await store.change((changes) => changes.updateApiKey(keyId, { revokedAt: now }))
      await store.change((changes) => changes.updateApiKey(expiring.keyId, { expiresAt: now + 1 }))
      await store.change((changes) => changes.updateEnvironment(archived.environment.id, { archivedAt: now }))
      return (await changesSince(store, 0)).revision
    })

    const { code, stdout } = await jeton(['restore', file, '--yes', '--json'])
    assert.equal(code, 0)
    const told = JSON.parse(stdout)
    assert.deepEqual([told.replaced, told.revision], ['whole', revision + 1])
    assert.deepEqual(
      told.ended.map(({ kind, id, end, at }: Record<string, unknown>) => [kind, id, end, at]),
      [
        ['environment', archived.environment.id, 'archived', Math.floor(now / 1000)],
        ['key', keyId, 'revoked', Math.floor(now / 1000)],
        ['key', expiring.keyId, 'expires', Math.floor((now + 1) / 1000)],
      ],
    )
    assert.deepEqual(
      told.vanished.map(({ kind, id }: Record<string, unknown>) => [kind, id]),
      [['key', newer.keyId]],
    )
    const all = await use(everythingIn)
    assert.equal(all.environments.find(({ id }) => id === archived.environment.id)?.archivedAt, now)
    const server = await serveHere(t, { DATA_DIR })
    const errors = [secretKey, expiring.secretKey, newer.secretKey, living.secretKey].map(
      async (key) => (await mint(server.url, key)).error,
    )
    assert.deepEqual(await Promise.all(errors), ['key_revoked', 'key_expired', 'key_unknown', undefined])
  })

  it('shows every process all of it as new', async (t) => {
    const { file, jeton, use } = await install(t)
    await jeton(['backup', file])
    const { revision } = await use(everythingIn)
    await jeton(['restore', file, '--yes'])
    const { environments, apiKeys, signingKeys } = await use(({ store }) => changesSince(store, revision))
    assert.deepEqual([environments.length, apiKeys.length, signingKeys.length], [1, 2, 2])
  })

  it('keeps a signing key that took over after the backup, and the end of the one before', async (t) => {
    const { DATA_DIR, file, jeton, use, environment } = await install(t)
    await jeton(['backup', file])
    const ends = { signsUntil: Date.now(), verifiesUntil: Date.now() }
    const kid = await use(({ store }) =>
      store.change(async (changes) => {
        const [before] = await changes.listSigningKeys(environment.id)
        await changes.updateSigningKey(environment.id, before?.kid ?? '', ends)
        return before?.kid ?? ''
      }),
    )
    // Only what is carried over is looked at: the row itself, under another name, stands for its successor.
    const path = join(DATA_DIR, 'jeton.db')
    edit(
      path,
      `create temp table successor as select * from signing_key where kid = '${kid}';
      update successor set kid = 'successor', signs_until = null, verifies_until = null;
      insert into signing_key select * from successor`,
    )
    const told = JSON.parse((await jeton(['restore', file, '--yes', '--json'])).stdout)
    assert.deepEqual(
      told.ended.map(({ id, end }: Record<string, unknown>) => [id, end]),
      [
        [kid, 'signs until'],
        [kid, 'verifies until'],
      ],
    )
    const keys = await use(({ store }) => store.change((changes) => changes.listSigningKeys(environment.id)))
    const endOf = (kid: string) => keys.filter((key) => key.kid === kid).map((key) => key.verifiesUntil)
    assert.deepEqual([endOf(kid), endOf('successor')], [[ends.verifiesUntil], [undefined]])
  })

  it('lists the keys that were exposed and those that took the place of others', async (t) => {
    const { file, jeton, use, keyId } = await install(t)
    await jeton(['backup', file])
    const how = { action: 'rotate', graceSeconds: 3_600 } as const
    const { successor, key } = await use(({ keyLives }) => keyLives.reportLeak(keyId, how))
    await use(({ store }) => store.change((changes) => changes.updateApiKey(keyId, { name: 'leaked' })))
    const { stdout } = await jeton(['restore', file, '--yes'])
    assert.match(stdout, new RegExp(`^key +${keyId} .* exposed `, 'm'))
    assert.match(stdout, new RegExp(`^key +${successor?.row.id} .* kept`, 'm'))
    await jeton(['restore', file, '--yes'])
    const told = JSON.parse((await jeton(['restore', file, '--yes', '--json'])).stdout)
    const ids = (list: { id: string }[]) => list.map(({ id }) => id)
    assert.deepEqual([ids(told.exposed), ids(told.kept)], [[keyId], [successor?.row.id]])
    assert.equal(told.exposed[0].at, Math.floor((key.exposedAt ?? 0) / 1000))
  })

  it('names the key that it makes where none is left to sign', async (t) => {
    const { DATA_DIR, file, jeton, use, environment } = await install(t)
    await jeton(['backup', file])
    await use(({ signingKeyRotation }) =>
      signingKeyRotation.rotate(environment.id, 'EdDSA', { immediately: true }),
    )
    edit(
      join(DATA_DIR, 'jeton.db'),
      "delete from signing_key where algorithm = 'EdDSA' and signs_until is null",
    )
    const { code, stdout } = await jeton(['restore', file, '--yes'])
    assert.equal(code, 0)
    const kid = new RegExp(
      `^No EdDSA key of ${environment.id} was left to sign; a new one does: (\\S+)$`,
      'm',
    )
    const [, named] = kid.exec(stdout) ?? []
    const keys = await use(({ signingKeyRotation }) => signingKeyRotation.list(environment.id))
    assert.equal(keys.find((key) => key.kid === named)?.phase, 'signing')
  })

  it('refuses while a server has the data open, and works once the last one is gone, however it went', async (t) => {
    const { DATA_DIR, file, jeton, use, keyId, secretKey } = await install(t)
    const servers = [await startServer(t, { DATA_DIR }), await startServer(t, { DATA_DIR })]
    await jeton(['backup', file])
    for (const server of servers) {
      const { code, stderr } = await jeton(['restore', file, '--yes'])
      assert.equal(code, 1)
      assert.match(stderr, /^A Jeton has .* open: stop it first\. Nothing was changed\.\n$/)
      // The last change lies in the log beside the database alone, where the kill leaves it.
      await use(({ store }) => store.change((changes) => changes.updateApiKey(keyId, { revokedAt: 1 })))
      await server.stop('SIGKILL')
    }
    assert.ok(statSync(join(DATA_DIR, 'jeton.db-wal')).size > 0)
    assert.equal((await jeton(['restore', file, '--yes'])).code, 0)
    assert.deepEqual(readdirSync(DATA_DIR).sort(), ['jeton.db', 'jeton.lock', 'journal', 'master.key'])
    const server = await serveHere(t, { DATA_DIR })
    assert.equal((await mint(server.url, secretKey)).error, 'key_revoked')
  })

  it('refuses while another program has the database open', async (t) => {
    const { DATA_DIR, file, jeton, use, keyId } = await install(t)
    await jeton(['backup', file])
    const other = new DatabaseSync(join(DATA_DIR, 'jeton.db'))
    other.exec('begin; select * from revision')
    const { code, stderr } = await jeton(['restore', file, '--yes'])
    other.close()
    assert.deepEqual(
      [code, stderr],
      [1, `Another program has ${join(DATA_DIR, 'jeton.db')} open: stop it first.\n`],
    )
    assert.ok((await use(everythingIn)).apiKeys.some(({ id }) => id === keyId))
  })

  it('refuses what is no backup for this Jeton, and changes nothing', async (t) => {
    const { DATA_DIR, file, elsewhere, jeton } = await install(t)
    await jeton(['backup', file])
    const made = (name: string, change: (path: string) => void) => {
      const path = join(elsewhere, name)
      copyFileSync(file, path)
      change(path)
      return path
    }
    const flip = (path: string) => {
      const bytes = readFileSync(path)
      writeFileSync(path, bytes.fill(0x5a, 20_000, 24_000))
    }
    const newer = "insert into kysely_migration (name, timestamp) values ('9999-future', '2030-01-01')"
    const another = "update data_key set sealed = 'AAAA'"
    const wrong: [string, RegExp][] = [
      [made('newer', (path) => edit(path, newer)), /newer Jeton.*9999-future/],
      [made('flipped', flip), /flipped (is no whole database|cannot be copied)/],
      [made('short', (path) => truncateSync(path, 30_000)), /short (is no whole database|cannot be copied)/],
      [made('text', (path) => writeFileSync(path, 'x'.repeat(5_000))), /text (is no whole|cannot be copied)/],
      [made('empty', (path) => truncateSync(path, 0)), /empty is no backup of a Jeton/],
      [made('another', (path) => edit(path, another)), /sealed under another master key/],
      [join(elsewhere, 'missing'), /There is no database/],
    ]
    const before = contentOf(DATA_DIR)
    for (const [path, message] of wrong) {
      const { code, stdout, stderr } = await jeton(['restore', path, '--yes'])
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /\n\s+at /)
      assert.deepEqual(contentOf(DATA_DIR), before, path)
    }
  })

  it('refuses the backup of another master key until that one is named as well, and then seals it under the present one', async (t) => {
    const [present = '', old = ''] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'))
    const { DATA_DIR, file, jeton, secretKey } = await install(t, { MASTER_KEY: old })
    await jeton(['backup', file])
    assert.equal((await jeton(['master-key', 'rotate'], { MASTER_KEY: `${present},${old}` })).code, 0)
    const before = contentOf(DATA_DIR)
    const refused = await jeton(['restore', file, '--yes'], { MASTER_KEY: present })
    assert.deepEqual([refused.code, contentOf(DATA_DIR)], [1, before])
    assert.match(refused.stderr, /sealed under another master key.*MASTER_KEY=present,other/)
    assert.equal((await jeton(['restore', file, '--yes'], { MASTER_KEY: `${present},${old}` })).code, 0)
    const server = await serveHere(t, { DATA_DIR, MASTER_KEY: present })
    assert.equal((await mint(server.url, secretKey)).status, 200)
  })

  it('asks first, and without a terminal wants to be told', async (t) => {
    const { DATA_DIR, file, jeton } = await install(t)
    await jeton(['backup', file])
    const before = contentOf(DATA_DIR)
    const { code, stdout, stderr } = await jeton(['restore', file])
    assert.deepEqual([code, stdout, contentOf(DATA_DIR)], [1, '', before])
    assert.match(stderr, /^This puts .* Say --yes, since there is no terminal to ask at\.\n$/)
  })

  it('brings a backup of an older Jeton up to date', async (t) => {
    const { DATA_DIR, file, jeton, use, secretKey } = await install(t)
    await jeton(['backup', file])
    const old = asFirstVersion(file)
    assert.equal((await jeton(['restore', old, '--yes'])).code, 0)
    assert.equal((await use(everythingIn)).signingKeys.length, 2)
    const server = await serveHere(t, { DATA_DIR })
    assert.equal((await mint(server.url, secretKey)).status, 200)
  })

  it('takes the place of a damaged database, keeps that, and says what it could not tell', async (t) => {
    const { DATA_DIR, file, jeton, use } = await install(t)
    await jeton(['backup', file])
    const { revision } = await use(everythingIn)
    writeFileSync(join(DATA_DIR, 'jeton.db'), 'no database at all '.repeat(1_000))
    writeFileSync(join(DATA_DIR, 'jeton.db-wal'), 'nor is this its log')
    const { code, stdout } = await jeton(['restore', file, '--yes'])
    assert.equal(code, 0)
    assert.match(stdout, /could not be read to its end.*jeton\.db\.damaged/s)
    assert.match(readFileSync(join(DATA_DIR, 'jeton.db.damaged'), 'utf8'), /^no database at all/)
    assert.equal(existsSync(join(DATA_DIR, 'jeton.db-wal')), false)
    assert.ok((await use(everythingIn)).revision > revision + 1_000)
  })

  it(`leaves the old database or the new one, whole, when it is killed (${KILLS} times)`, async (t) => {
    const { DATA_DIR, file, jeton, use, environment, keyId } = await install(t)
    await jeton(['backup', file])
    const { keyId: newer } = JSON.parse(
      (await jeton(['keys', 'create', '--environment', environment.id, '--json'])).stdout,
    )
    await use(({ store }) => store.change((changes) => changes.updateApiKey(keyId, { revokedAt: 1 })))
    const old = join(await temporaryFolder(t), 'old.db')
    await jeton(['backup', old])
    const restoring = ['restore', file, '--yes']
    const workMs = await runAndKill(restoring, { DATA_DIR }, DATA_DIR)
    let [olds, news] = [0, 0]
    for (let kill = 0; kill < KILLS; kill += 1) {
      copyFileSync(old, join(DATA_DIR, 'jeton.db'))
      await runAndKill(restoring, { DATA_DIR }, DATA_DIR, Math.random() * workMs)
      const { apiKeys } = await use(everythingIn)
      const isOld = apiKeys.some(({ id }) => id === newer)
      assert.equal(apiKeys.length, isOld ? 3 : 2)
      assert.equal(apiKeys.find(({ id }) => id === keyId)?.revokedAt, 1)
      if (isOld) olds += 1
      else news += 1
    }
    t.diagnostic(
      `killed within ${Math.round(workMs)} ms: ${olds} times the old one, ${news} times the new one`,
    )
    assert.equal((await jeton(restoring)).code, 0)
    assert.deepEqual(readdirSync(DATA_DIR).sort(), ['jeton.db', 'jeton.lock', 'master.key'])
  })
})

describe('a data folder', () => {
  it('is not opened while a restore has it', async (t) => {
    const { DATA_DIR, jeton } = await install(t)
    const restoring = new DatabaseSync(join(DATA_DIR, 'jeton.lock'))
    restoring.exec('begin exclusive')
    const { code, stderr } = await jeton(['environments', 'list'])
    restoring.close()
    assert.deepEqual(
      [code, stderr],
      [1, `A restore is under way in ${DATA_DIR}. Try again when it has ended.\n`],
    )
    assert.equal(await useInstallation({ DATA_DIR }, async () => 'open'), 'open')
  })
})
