import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { ADMIN } from '../helpers/admin.ts'
import { build } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'

describe('a change that is done', () => {
  it('is answered with its secret even if it cannot be read back', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const { server, made, revoke, follower } = await build(t, { ADMIN_KEY: ADMIN }, path)
    const other = new DatabaseSync(path)
    other.exec('drop table admin_key')
    other.close()
    const post = (url: string, payload: object) =>
      server.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${ADMIN}` } })
    const { id } = made.environment
    const key = await post(`/v1/environments/${id}/keys`, { kind: 'secret' })
    await assert.rejects(follower.refresh(), /admin_key/)
    assert.equal(key.statusCode, 201)
    assert.match(key.json().secretKey, /^sk_/)
    const environment = await post('/v1/environments', { name: 'Another' })
    assert.match(environment.json().secretKey, /^sk_/)
    assert.equal((await post(`/v1/environments/${id}/signing-keys/rotate`, {})).statusCode, 201)
    assert.ok((await revoke.revoke(id, { jti: 'one' })) > 0)
  })
})
