import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import type { RevocationKind } from '../../src/domain/revocation.ts'
import { createRevocations } from '../../src/gate/revocations.ts'
import { createFollower } from '../../src/keys/follower.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { bytesInUse } from '../helpers/memory.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { inFull } from '../helpers/scale.ts'
import { drivenSeams } from '../helpers/seams.ts'

const REVOCATIONS = inFull(100_000, 20_000)
/** The longest life of a token, and leeway. */
const LIFE_SECONDS = 86_410

const environmentId = 'env_0123456789abcdef'
const environment = {
  id: environmentId,
  name: 'Test',
  tag: 'live',
  signingAlgorithm: undefined,
  turn: undefined,
  settings: {},
  createdAt: 0,
  archivedAt: undefined,
}

/** A store with as many revocations as are promised, each value as long as what Jeton makes. */
async function filled(t: TestContext, kind: RevocationKind, now: number) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const store = openSqlite(path)
  const db = new DatabaseSync(path)
  t.after(async () => {
    db.close()
    await store.close()
  })
  await store.prepare()
  await store.change(({ insertEnvironment }) => insertEnvironment(environment))
  // One by one they would take minutes.
  db.prepare(`
    with recursive number(n) as (select 1 union all select n + 1 from number where n < ${REVOCATIONS})
    insert into revocation (environment_id, kind, value, "before", until, revision)
    select ?, ?, format('%022d', n), ?, ?, 1 + n from number`).run(
    environmentId,
    kind,
    kind === 'jti' ? null : now,
    now + LIFE_SECONDS,
  )
  db.exec('update revision set value = (select max(revision) from revocation)')
  return { store, db }
}

describe('the memory of the gate', () => {
  for (const kind of ['jti', 'subject'] as const) {
    it(`is at most 250 bytes for each of ${REVOCATIONS} live revocations by ${kind}, and is freed`, async (t) => {
      const seams = drivenSeams()
      const now = Math.floor(seams.now() / 1000)
      const { store, db } = await filled(t, kind, now)
      const follower = createFollower({ store, seams, staleKeysSeconds: 30 })
      const revocations = createRevocations({ follower, seams })
      // What any first read leaves, like compiled code, is no revocation's.
      await store.readChanges(0, () => undefined)
      const before = bytesInUse()
      await follower.refresh()
      const each = (bytesInUse() - before) / REVOCATIONS
      assert.ok(each <= 250, `${each} bytes`)

      // Each of them once more and again, as from a client that tries until it is sure.
      for (let round = 0; round < 3; round += 1) {
        db.exec(`update revocation set revision = revision + ${REVOCATIONS}`)
        db.exec(`update revision set value = value + ${REVOCATIONS}`)
        await follower.refresh()
      }
      assert.equal(revocations.since(environmentId, 0).revocations.length, REVOCATIONS)
      const repeated = (bytesInUse() - before) / REVOCATIONS
      t.diagnostic(`${each.toFixed()} bytes each, and ${repeated.toFixed()} after repeats`)
      assert.ok(repeated <= 250, `${each} bytes, and ${repeated} after repeats`)

      seams.advance(LIFE_SECONDS * 1000)
      await store.change(({ keepRevocation }) => {
        const until = now + LIFE_SECONDS
        const last = { environmentId, kind, value: 'last', before: undefined, until: until + 1 }
        return keepRevocation(last, until)
      })
      await follower.refresh()
      assert.equal(revocations.since(environmentId, 0).revocations.length, 1)
      const left = bytesInUse() - before
      assert.ok(left < 2_000_000, `${left} bytes are left`)
    })
  }
})
