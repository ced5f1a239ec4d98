import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { z } from 'zod'
import { run, temporaryFolder } from '../helpers/process.ts'
import { serveHere } from '../helpers/serve-here.ts'

const vector = JSON.parse(readFileSync(new URL('../vectors/peer-token.json', import.meta.url), 'utf8'))

async function setup(t: TestContext) {
  const DATA_DIR = await temporaryFolder(t)
  const jeton = (...args: string[]) => run('cli/jeton.ts', args, { DATA_DIR })
  const { environment, secretKey } = JSON.parse(
    (await jeton('environments', 'create', 'Test', '--json')).stdout,
  )
  const file = async (name: string, content: string) => {
    await writeFile(join(DATA_DIR, name), content)
    return join(DATA_DIR, name)
  }
  return { jeton, environment, secretKey, file, DATA_DIR }
}

async function mint(server: { readonly url: string }, path: string, key: string, body: object) {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const reply = await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const { token = '' } = z.object({ token: z.string().optional() }).parse(await reply.json())
  return { status: reply.status, token }
}

describe('what signs', () => {
  it('is an imported HS256 secret for the format that it was imported for', async (t) => {
    const { jeton, environment, secretKey, file, DATA_DIR } = await setup(t)
    const secret = 'sk_live_an-existing-metered-secret-text'
    const path = await file('secret', `${secret}\n`)
    const identity = ['--environment', environment.id, '--format', 'channels', '--kid', 'theirs-1']
    const imported = await jeton('signing-keys', 'import', ...identity, '--secret-file', path, '--json')
    assert.equal(imported.code, 0)
    const [key, ...others] = JSON.parse(imported.stdout).signingKeys
    assert.deepEqual([key.kid, key.format, key.phase, others], ['theirs-1', 'channels', 'signing', []])
    assert.equal(imported.stdout.includes('sealed'), false)
    const server = await serveHere(t, { DATA_DIR })
    const { token } = await mint(server, '/v1/tokens', secretKey, { peerId: 'alice' })
    assert.equal(decodeProtectedHeader(token).kid, 'theirs-1')
    assert.equal((await jwtVerify(token, Buffer.from(secret))).payload.sub, 'alice')
    const user = await mint(server, '/auth/token', secretKey, { userId: 'a', name: 'A' })
    assert.notEqual(decodeProtectedHeader(user.token).kid, 'theirs-1')
    assert.equal(readFileSync(join(DATA_DIR, 'jeton.db')).includes(secret), false)
  })

  it('is an imported Ed25519 seed, which the product’s public key verifies', async (t) => {
    const { jeton, environment, secretKey, file, DATA_DIR } = await setup(t)
    const path = await file('seed', vector.secret)
    const identity = ['--environment', environment.id, '--format', 'peer', '--kid', vector.kid]
    assert.equal((await jeton('signing-keys', 'import', ...identity, '--secret-file', path)).code, 0)
    const server = await serveHere(t, { DATA_DIR })
    const { token } = await mint(server, '/v1/peer/tokens', secretKey, { groupId: 'g', peerId: 'p' })
    const { protectedHeader } = await jwtVerify(token, await importJWK(vector.publicJwk, 'EdDSA'))
    assert.equal(protectedHeader.kid, vector.kid)
  })

  it('cannot be a secret that is too short or no seed, and none of it is repeated', async (t) => {
    const { jeton, environment, file } = await setup(t)
    const wrong: [string, string, RegExp][] = [
      ['channels', 'canary-of-31-characters-exactly', /at least 32 bytes/],
      ['peer', 'sk_canary', /expecting hex/],
      ['client', 'sk_abcd', /invalid secret length/],
    ]
    for (const [format, secret, message] of wrong) {
      const identity = ['--environment', environment.id, '--format', format, '--kid', 'k']
      const path = await file('secret', secret)
      const { code, stderr } = await jeton('signing-keys', 'import', ...identity, '--secret-file', path)
      assert.equal(code, 1)
      assert.match(stderr, message)
      assert.equal(stderr.includes('canary'), false)
    }
  })

  it('is EdDSA for a whole environment that is set so', async (t) => {
    const { jeton, DATA_DIR } = await setup(t)
    const made = JSON.parse(
      (await jeton('environments', 'create', 'Public', '--alg', 'EdDSA', '--json')).stdout,
    )
    const server = await serveHere(t, { DATA_DIR })
    let asked = 0
    const algorithm = async () => {
      asked += 1
      const { token } = await mint(server, '/auth/token', made.secretKey, {
        userId: `user-${asked}`,
        name: 'A',
      })
      return decodeProtectedHeader(token).alg
    }
    assert.equal(await algorithm(), 'EdDSA')
    await jeton('environments', 'update', made.environment.id, '--alg', 'default')
    const changedAt = performance.now()
    while ((await algorithm()) !== 'HS256') assert.ok(performance.now() - changedAt < 1_000)
  })
})
