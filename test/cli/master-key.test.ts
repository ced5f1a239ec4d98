import assert from 'node:assert/strict'
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { everythingIn, install, KILLS, mint, takeMasterKey } from '../helpers/installation.ts'
import { runAndKill, runApart, temporaryFolder } from '../helpers/process.ts'
import { serveHere } from '../helpers/serve-here.ts'

const [NEW = '', OLD = ''] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'))
const BOTH = `${NEW},${OLD}`

/** Every row of every table but those of usage, which servers write meanwhile. */
function rowsIn(dataDir: string): Map<string, string> {
  const database = new DatabaseSync(join(dataDir, 'jeton.db'))
  const tables = database
    .prepare("select name from sqlite_schema where type = 'table' and name not like 'usage%' order by name")
    .all()
  const rows = tables.map(({ name }): [string, string] => [
    String(name),
    JSON.stringify(database.prepare(`select * from ${name}`).all()),
  ])
  database.close()
  return new Map(rows)
}

describe('jeton master-key rotate', () => {
  it('seals the data key under the first of two keys, changes that row and records it, and servers go on', async (t) => {
    const { DATA_DIR, jeton, secretKey } = await install(t, { MASTER_KEY: OLD })
    const running = await serveHere(t, { DATA_DIR, MASTER_KEY: OLD })
    const before = rowsIn(DATA_DIR)
    const { code, stdout, stderr } = await jeton(['master-key', 'rotate'], { MASTER_KEY: BOTH })
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /Take the second one out wherever MASTER_KEY is set/)
    const after = rowsIn(DATA_DIR)
    const changed = [...after].filter(([table, rows]) => rows !== before.get(table)).map(([table]) => table)
    assert.deepEqual(changed.sort(), ['change_record', 'data_key', 'revision'])
    assert.equal((await mint(running.url, secretKey)).status, 200)
    for (const MASTER_KEY of [NEW, BOTH]) {
      const server = await serveHere(t, { DATA_DIR, MASTER_KEY })
      assert.equal((await mint(server.url, secretKey)).status, 200)
    }
    const old = await jeton(['environments', 'list'], { MASTER_KEY: OLD })
    assert.equal(old.code, 1)
    assert.match(old.stderr, /^MASTER_KEY .* does not open the database/)
    const again = await jeton(['master-key', 'rotate'], { MASTER_KEY: BOTH })
    assert.deepEqual([again.code, rowsIn(DATA_DIR)], [0, after])
    assert.match(again.stdout, /under the first key of MASTER_KEY already/)
  })

  it('needs a second key to change from', async (t) => {
    const { jeton } = await install(t, { MASTER_KEY: OLD })
    const { code, stdout, stderr } = await jeton(['master-key', 'rotate'])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^MASTER_KEY holds one key\. .*MASTER_KEY=new,old.*\n$/)
    const wrong = await jeton(['master-key', 'rotate'], {
      MASTER_KEY: `${NEW},${Buffer.alloc(32, 3).toString('base64')}`,
    })
    assert.match(wrong.stderr, /does not open the database/)
  })

  it('puts a new key in the place of the generated one, once it may', async (t) => {
    const { DATA_DIR, jeton, secretKey } = await install(t)
    const running = await serveHere(t, { DATA_DIR })
    const path = join(DATA_DIR, 'master.key')
    const old = readFileSync(path, 'utf8')
    const unasked = await jeton(['master-key', 'rotate'])
    assert.deepEqual([unasked.code, readFileSync(path, 'utf8')], [1, old])
    assert.match(unasked.stderr, /^Backups made so far .* Say --yes, .*\n$/)
    assert.equal((await jeton(['master-key', 'rotate', '--yes'])).code, 0)
    assert.notEqual(readFileSync(path, 'utf8'), old)
    assert.match(readFileSync(path, 'utf8'), /^[\w+/]{43}=\n$/)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const second = await serveHere(t, { DATA_DIR })
    for (const { url } of [running, second]) assert.equal((await mint(url, secretKey)).status, 200)
    const refused = await jeton(['environments', 'list'], { MASTER_KEY: old.trim() })
    assert.match(refused.stderr, /does not open the database/)
  })

  it('finishes a change that was cut short before or after the database changed', async (t) => {
    const { DATA_DIR, jeton, use } = await install(t)
    const path = join(DATA_DIR, 'master.key')
    for (const other of ['first', 'second']) {
      const inUse = readFileSync(path, 'utf8').trim()
      writeFileSync(path, other === 'first' ? `${NEW},${inUse}\n` : `${inUse},${OLD}\n`)
      assert.equal((await use(everythingIn)).apiKeys.length, 2)
      assert.equal((await jeton(['master-key', 'rotate', '--yes'])).code, 0)
      assert.equal(readFileSync(path, 'utf8'), `${NEW}\n`)
    }
    assert.equal((await use(everythingIn)).apiKeys.length, 2)
  })

  it('leaves one key that opens everything when two do it at once', async (t) => {
    const { DATA_DIR, use } = await install(t)
    const both = await Promise.all(
      [1, 2, 3].map(() => runApart('cli/jeton.ts', ['master-key', 'rotate', '--yes'], { DATA_DIR })),
    )
    for (const { code, stderr } of both) assert.deepEqual([code, stderr], [0, ''])
    assert.match(readFileSync(join(DATA_DIR, 'master.key'), 'utf8'), /^[\w+/]{43}=\n$/)
    assert.equal((await use(everythingIn)).apiKeys.length, 2)
  })

  it(`leaves an installation that opens when it is killed (${KILLS} times)`, async (t) => {
    const { DATA_DIR, jeton, use, secretKey } = await install(t)
    const rotating = ['master-key', 'rotate', '--yes']
    const workMs = await runAndKill(rotating, { DATA_DIR }, DATA_DIR)
    const seen = { before: 0, between: 0, after: 0 }
    for (let kill = 0; kill < KILLS; kill += 1) {
      const before = readFileSync(join(DATA_DIR, 'master.key'), 'utf8')
      await runAndKill(rotating, { DATA_DIR }, DATA_DIR, Math.random() * workMs)
      assert.equal((await use(everythingIn)).apiKeys.length, 2)
      const after = readFileSync(join(DATA_DIR, 'master.key'), 'utf8')
      seen[after.includes(',') ? 'between' : after === before ? 'before' : 'after'] += 1
    }
    t.diagnostic(`killed within ${Math.round(workMs)} ms: ${JSON.stringify(seen)}`)
    assert.equal((await jeton(rotating)).code, 0)
    const server = await serveHere(t, { DATA_DIR })
    assert.equal((await mint(server.url, secretKey)).status, 200)
  })
})

describe('the generated master key', () => {
  it('serves as MASTER_KEY_FILE while it changes', async (t) => {
    const { DATA_DIR, use } = await install(t)
    const folder = await temporaryFolder(t)
    takeMasterKey(DATA_DIR, folder)
    const path = join(folder, 'master.key')
    writeFileSync(path, `${NEW},${readFileSync(path, 'utf8')}`)
    assert.equal((await use(everythingIn, { MASTER_KEY_FILE: path })).apiKeys.length, 2)
    copyFileSync(path, join(DATA_DIR, 'master.key'))
    assert.equal((await use(everythingIn)).apiKeys.length, 2)
    assert.deepEqual(readdirSync(DATA_DIR).sort(), ['jeton.db', 'jeton.lock', 'master.key'])
  })
})
