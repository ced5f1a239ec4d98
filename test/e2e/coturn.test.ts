import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { decodeJwt } from 'jose'
import { type IceServer, turnCredentials } from '../../src/domain/turn.ts'
import { hasCoturn, startCoturn } from '../helpers/coturn.ts'
import { run, startServer, temporaryFolder } from '../helpers/process.ts'
import { allocate } from '../helpers/turn-client.ts'

const SECRET = 'known-to-coturn-and-to-jeton'

/** Where CI runs, a missing coturn is a failure. */
const skip = !process.env.CI && !hasCoturn() && 'coturn is not installed'

/** A coturn, and a Jeton that was told about it on the command line. */
async function start(t: TestContext) {
  const folder = await temporaryFolder(t)
  const env = { DATA_DIR: join(folder, 'data') }
  const secretFile = join(folder, 'turn-secret')
  await writeFile(secretFile, `${SECRET}\n`)
  const created = await run('cli/jeton.ts', ['environments', 'create', 'Test', '--json'], env)
  const { environment, secretKey } = JSON.parse(created.stdout)
  const url = await startCoturn(t, SECRET)
  const told = ['environments', 'turn', environment.id, '--url', url, '--secret-file', secretFile]
  const { code, stderr } = await run('cli/jeton.ts', told, env)
  assert.equal(code, 0, stderr)
  const server = await startServer(t, env)
  return { jeton: server.url, headers: { 'x-api-key': secretKey }, url }
}

function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

describe('a real coturn', { skip }, () => {
  it('relays for the holder of a channels token, with credentials that end when the token does', async (t) => {
    const { jeton, headers, url } = await start(t)
    const reply = await fetch(`${jeton}/v1/tokens`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: '{"peerId":"alice","expiresInSec":600}',
    })
    const { token } = JSON.parse(await reply.text())
    const { exp, metadata } = decodeJwt<{ metadata: { iceServers: IceServer[] } }>(token)
    const [iceServer, ...others] = metadata.iceServers
    assert.ok(iceServer)
    assert.deepEqual(others, [])
    assert.deepEqual(iceServer.urls, [url])
    assert.equal(iceServer.username, `${exp}:alice`)
    assert.deepEqual(await allocate(iceServer), { relayedAddress: '127.0.0.1' })
  })

  it('relays for the holder of credentials alone, which end when the answer says', async (t) => {
    const { jeton, headers, url } = await start(t)
    const reply = await fetch(`${jeton}/v1/turn/credentials?subject=alice`, { headers })
    const { iceServers, expiresAt } = JSON.parse(await reply.text())
    assert.equal(iceServers.length, 1)
    assert.deepEqual(iceServers[0].urls, [url])
    assert.equal(iceServers[0].username, `${expiresAt}:alice`)
    assert.deepEqual(await allocate(iceServers[0]), { relayedAddress: '127.0.0.1' })
  })

  it('relays for every subject that Jeton takes', async (t) => {
    const url = await startCoturn(t, SECRET)
    const subjects = [
      "o'brien",
      'a b',
      'union-select',
      'back\\slash',
      '😀'.repeat(128),
      'x'.repeat(128),
      'Zoë',
      'a:b',
    ]
    for (const subject of subjects) {
      const iceServer = turnCredentials([url], SECRET, subject, secondsFromNow(60))
      assert.deepEqual(await allocate(iceServer), { relayedAddress: '127.0.0.1' }, subject)
    }
  })

  it('refuses a credential of another secret', async (t) => {
    const url = await startCoturn(t, SECRET)
    const made = (secret: string) => turnCredentials([url], secret, 'alice', secondsFromNow(60))
    assert.deepEqual(await allocate(made(SECRET)), { relayedAddress: '127.0.0.1' })
    assert.deepEqual(await allocate(made('another')), { errorCode: 401 })
  })

  it('refuses credentials that have ended, and those whose end was moved', async (t) => {
    const url = await startCoturn(t, SECRET)
    const ended = turnCredentials([url], SECRET, 'alice', secondsFromNow(-1))
    assert.deepEqual(await allocate(ended), { errorCode: 401 })
    const moved = { ...ended, username: `${secondsFromNow(60)}:alice` }
    assert.deepEqual(await allocate(moved), { errorCode: 401 })
  })
})
