import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { JetonError } from '../../src/domain/errors.ts'
import type { Witness } from '../../src/store/change-records.ts'
import { explain, openSqlite } from '../../src/store/open-sqlite.ts'
import { readSqliteRecords } from '../../src/store/read-records.ts'
import type { Store } from '../../src/store/store.ts'
import { changesSince } from '../helpers/changes.ts'
import { run, temporaryFolder } from '../helpers/process.ts'
import { alertContract } from './alert-contract.ts'
import { environment, storeContract } from './contract.ts'
import { recordContract } from './record-contract.ts'
import { usageContract } from './usage-contract.ts'

const JETON = join(import.meta.dirname, '../../src/cli/jeton.ts')

storeContract('SQLite', open)
recordContract('SQLite', open)
usageContract('SQLite', open)
alertContract('SQLite', open)

async function open(t: TestContext) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const opened: Store[] = []
  t.after(() => Promise.all(opened.map((store) => store.close())))
  const handle = async (witness?: Witness) => {
    const store = openSqlite(path, witness && { witness })
    opened.push(store)
    return store
  }
  const records = async () => {
    const found = await readSqliteRecords(path, (error) => error)
    assert.ok(found !== undefined)
    return found
  }
  const run = async (statement: string) => {
    const database = new DatabaseSync(path)
    database.exec(statement)
    database.close()
  }
  return { handle, records, run }
}

describe('the embedded database', () => {
  it('writes ahead and syncs fully', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const store = openSqlite(path)
    await store.prepare()
    await store.close()
    const database = new DatabaseSync(path)
    assert.deepEqual({ ...database.prepare('pragma journal_mode').get() }, { journal_mode: 'wal' })
    database.close()
  })

  it('takes no change and is not believed while its file is not in its place', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const store = openSqlite(path)
    t.after(() => store.close())
    await store.prepare()
    let made = 0
    const change = () => {
      made += 1
      const one = { ...environment, id: `env_${made}`, name: `${made}` }
      return store.change(({ insertEnvironment }) => insertEnvironment(one))
    }
    const refused = { error: 'store_unavailable', message: 'The database is not in its place any more.' }
    const accidents: [() => void, () => void][] = [
      [() => renameSync(path, `${path}.old`), () => renameSync(`${path}.old`, path)],
      [
        () => {
          renameSync(path, `${path}.old`)
          copyFileSync(`${path}.old`, path)
        },
        () => renameSync(`${path}.old`, path),
      ],
    ]
    for (const [happens, isMended] of accidents) {
      await change()
      happens()
      await assert.rejects(change(), refused)
      await assert.rejects(store.listEnvironments(), refused)
      await assert.rejects(
        store.readChanges(0, () => undefined),
        refused,
      )
      isMended()
    }
    await change()
    // One that waits for its turn meanwhile.
    const [begun, holding] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const first = store.change(() => {
      begun.resolve()
      return holding.promise
    })
    await begun.promise
    const second = change()
    renameSync(path, `${path}.old`)
    holding.resolve()
    await first
    await assert.rejects(second, refused)
    renameSync(`${path}.old`, path)
    assert.deepEqual(
      (await store.listEnvironments()).map(({ name }) => name),
      ['1', '3', '5'],
    )
  })

  it('is refused, unchanged, when a newer Jeton wrote it', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const first = openSqlite(path)
    await first.prepare()
    await first.close()
    const database = new DatabaseSync(path)
    database.exec(
      "insert into kysely_migration (name, timestamp) values ('9999-future', '2030-01-01T00:00:00.000Z')",
    )
    database.close()
    const before = readFileSync(path)
    const second = openSqlite(path)
    await assert.rejects(second.prepare(), { name: 'StoreError', message: /newer Jeton.*9999-future/ })
    await assert.rejects(second.sealedDataKey(), { name: 'StoreError' })
    await second.close()
    assert.deepEqual(readFileSync(path), before)
  })

  it('is refused when the file is no database', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    writeFileSync(path, 'this is a text file, and a rather long one at that '.repeat(100))
    assert.throws(() => openSqlite(path), { name: 'StoreError', message: /cannot be opened/ })
  })

  it('waits for another process’s transaction without holding the event loop', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const store = openSqlite(path)
    t.after(() => store.close())
    await store.prepare()
    const other = new DatabaseSync(path)
    other.exec('begin immediate')
    let turns = 0
    const changed = store.change(async () => turns)
    while (turns < 20) {
      await new Promise((resolve) => setImmediate(resolve))
      turns += 1
    }
    other.exec('commit')
    other.close()
    assert.ok((await changed) >= 20)
  })

  it('is read while changes wait for another program, and they end as unavailable', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const store = openSqlite(path, { patienceMs: 500 })
    t.after(() => store.close())
    assert.equal(await store.sealedDataKey(), undefined)
    await store.prepare()
    await store.change((changes) => changes.insertAdminKey({ digest: 'one', hint: '', createdAt: 0 }))
    const other = new DatabaseSync(path)
    t.after(() => other.close())
    other.exec('begin immediate')
    let waiting = 9
    const refused = Array.from({ length: 9 }, async () => {
      await assert.rejects(
        store.change(async () => undefined),
        { name: 'JetonError', error: 'store_unavailable', retryAfterSeconds: 1 },
      )
      waiting -= 1
    })
    const { adminKeys } = await changesSince(store, 0)
    assert.deepEqual([adminKeys.length, await store.listApiKeys(undefined), waiting], [1, [], 9])
    await Promise.all(refused)
    await assert.rejects(store.noteUses(new Map([['kid_1', 1]])), { error: 'store_unavailable' })
    other.exec('commit')
    assert.equal(await store.change(async ({ revision }) => revision), 2)
  })

  it('ends a change as unavailable that waited too long for another one of this process', async (t) => {
    const store = openSqlite(join(await temporaryFolder(t), 'jeton.db'), { patienceMs: 50 })
    t.after(() => store.close())
    await store.prepare()
    const { promise, resolve } = Promise.withResolvers<void>()
    const slow = store.change(() => promise)
    await assert.rejects(
      store.change(async () => undefined),
      { error: 'store_unavailable' },
    )
    resolve()
    await slow
    assert.equal(await store.change(async ({ revision }) => revision), 2)
  })

  it('refuses changes as unavailable while the disk is full or not to be written to, and takes them afterwards', async (t) => {
    const folder = await temporaryFolder(t)
    const env = { DATA_DIR: folder }
    assert.equal((await run('cli/jeton.ts', ['environments', 'create', 'One'], env)).code, 0)
    // What the system lets a file grow to stands for what the disk has left: enough to open it, not to write a change.
    const limited = spawnSync(
      'sh',
      ['-c', 'ulimit -f 68; exec "$@"', 'sh', process.execPath, JETON, 'environments', 'create', 'Two'],
      {
        env: { PATH: process.env.PATH, ...env },
        encoding: 'utf8',
      },
    )
    assert.match(limited.stderr, /^The disk .*(was not made|may have been made).*\n$/)
    assert.equal(limited.status, 1)
    assert.equal((await run('cli/jeton.ts', ['environments', 'create', 'Two'], env)).code, 0)
    const path = join(folder, 'jeton.db')
    const database = new DatabaseSync(path)
    t.after(() => database.close())
    database.exec(`pragma max_page_count = ${database.prepare('pragma page_count').get()?.page_count}`)
    const fill = 'insert into admin_key values (hex(randomblob(9)), hex(zeroblob(100000)), 1)'
    const readOnly = new DatabaseSync(path, { readOnly: true })
    t.after(() => readOnly.close())
    for (const failing of [database, readOnly]) {
      let thrown: unknown
      try {
        failing.exec(fill)
      } catch (error) {
        thrown = explain(error)
      }
      assert.ok(thrown instanceof JetonError)
      assert.deepEqual([thrown.error, thrown.retryAfterSeconds], ['store_unavailable', 10])
    }
  })

  it('leaves one file behind when it is closed, whatever was done with it', async (t) => {
    const folder = await temporaryFolder(t)
    const path = join(folder, 'jeton.db')
    for (const work of ['prepare', 'sealedDataKey', undefined] as const) {
      const store = openSqlite(path)
      if (work !== undefined) await store[work]()
      await store.close()
      assert.deepEqual(readdirSync(folder), ['jeton.db'])
    }
  })
})
