import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { install, mint } from '../helpers/installation.ts'
import { startServer } from '../helpers/process.ts'

describe('the last use of a key', () => {
  it('is written when the server ends, and still known to the next one', async (t) => {
    const { DATA_DIR, secretKey, keyId, use } = await install(t)
    const before = Date.now()
    const server = await startServer(t, { DATA_DIR })
    assert.equal((await mint(server.url, secretKey)).status, 200)
    await server.stop('SIGINT')
    const key = await use(({ store }) => store.findApiKey(keyId))
    const lastUsedAt = key?.lastUsedAt ?? 0
    assert.equal(lastUsedAt % 60_000, 0)
    assert.ok(lastUsedAt > before - 60_000 && lastUsedAt <= Date.now())
  })
})
