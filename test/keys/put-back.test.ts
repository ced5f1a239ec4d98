import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { it } from 'node:test'
import { user } from '../../src/formats/user.ts'
import { createRevocations } from '../../src/gate/revocations.ts'
import { createRevoke } from '../../src/gate/revoke.ts'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { createFollower } from '../../src/keys/follower.ts'
import { createKeyring } from '../../src/keys/keyring.ts'
import { backUp } from '../../src/store/backup.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { drivenSeams } from '../helpers/seams.ts'

// As a PostgreSQL is put back to an earlier state under servers that run. The store's contract is one, so that this one
// stands for it.
it('a process whose database is put back to an earlier state holds what is there, and learns of what comes next', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'jeton.db')
  const seams = drivenSeams()
  const store = openSqlite(path)
  t.after(() => store.close())
  const sealer = await openDataKey(store, [seams.random(32)], seams)
  const environments = createEnvironments({ store, sealer, seams })
  const follower = createFollower({ store, seams, staleKeysSeconds: 30 })
  const keyring = createKeyring({ store, follower, sealer, seams, adminKeys: [] })
  const revocations = createRevocations({ follower, seams })
  const revoke = createRevoke({ store, follower, seams })
  const one = await environments.create('One')
  await backUp(path, join(folder, 'backup.db'), { force: false, mark: 'draft' })
  const two = await environments.create('Two')
  await revoke.revoke(one.environment.id, { subject: 'alice' })
  await store.change((changes) => changes.updateApiKey(one.keyId, { revokedAt: 1 }))
  await follower.refresh()
  const known = revocations.standing(one.environment.id).version
  assert.throws(() => keyring.authenticate({ text: one.secretKey, keyId: undefined }), {
    error: 'key_revoked',
  })

  putBack(path, join(folder, 'backup.db'))
  await follower.refresh()
  assert.ok(follower.revision() < known)
  const { environment } = keyring.authenticate({ text: one.secretKey, keyId: undefined })
  assert.ok(keyring.signer(environment, user))
  assert.throws(() => keyring.authenticate({ text: two.secretKey, keyId: undefined }), {
    error: 'key_unknown',
  })
  assert.equal(keyring.publicKeys(two.environment.id), undefined)

  await revoke.revoke(one.environment.id, { subject: 'bob' })
  // A reader of the feed that knew of the later state is told of all there is.
  const feed = revocations.since(one.environment.id, known)
  assert.deepEqual([feed.snapshot, feed.revocations.map(({ value }) => value)], [true, ['bob']])
})

function putBack(path: string, backup: string): void {
  const database = new DatabaseSync(path)
  database.prepare('attach ? as backup').run(backup)
  database.exec('pragma foreign_keys = off; begin immediate')
  const rows = ['revision', 'environment', 'api_key', 'signing_key', 'revocation']
  for (const table of [...rows, 'change_record', 'change_aspect']) {
    database.exec(`delete from main.${table}; insert into main.${table} select * from backup.${table}`)
  }
  database.exec('commit')
  database.close()
}
