import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateApiKey } from '../../src/keys/api-keys.ts'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments } from '../../src/keys/environments.ts'
import { createFollower } from '../../src/keys/follower.ts'
import { createKeyring } from '../../src/keys/keyring.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { bytesInUse } from '../helpers/memory.ts'
import { inFull } from '../helpers/scale.ts'
import { drivenSeams } from '../helpers/seams.ts'

describe('the memory of the keyring', () => {
  const KEYS = inFull(20_000, 5_000)

  it('is at most 350 bytes a key, each with a grant of its own, and every one of them is found', async (t) => {
    const seams = drivenSeams()
    const store = openSqlite(':memory:')
    t.after(() => store.close())
    const sealer = await openDataKey(store, [seams.random(32)], seams)
    const { environment } = await createEnvironments({ store, sealer, seams }).create('One')
    const texts: string[] = []
    await store.change(async (changes) => {
      for (let made = 0; made < KEYS; made += 1) {
        const carried = { name: `backend of customer ${made}`, grant: { channels: [`customer-${made}-*`] } }
        const { row, text } = generateApiKey('secret', environment, seams, carried)
        await changes.insertApiKey(row)
        texts.push(text)
      }
    })
    const follower = createFollower({ store, seams, staleKeysSeconds: 30 })
    const keyring = createKeyring({ store, follower, sealer, seams, adminKeys: [] })
    // What any first read leaves, like compiled code, is no key's.
    await store.readChanges(0, () => undefined)
    const before = bytesInUse()
    await follower.refresh()
    const perKey = (bytesInUse() - before) / KEYS
    t.diagnostic(`${perKey.toFixed()} bytes`)
    assert.ok(perKey <= 350, `${perKey} bytes`)
    for (const [made, text] of texts.entries()) {
      const { ceiling } = keyring.authenticate({ text, keyId: undefined })
      assert.equal(ceiling.grant.channels?.[0], `customer-${made}-*`)
    }
  })
})
