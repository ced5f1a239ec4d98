import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { storeContract } from './contract.ts'

storeContract('SQLite', async (t) => {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const opened: Store[] = []
  t.after(() => Promise.all(opened.map((store) => store.close())))
  return () => {
    const store = openSqlite(path)
    opened.push(store)
    return store
  }
})

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
})
