import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { jwtVerify, SignJWT } from 'jose'
import { channels } from '../../src/formats/channels.ts'
import { install, mint } from '../helpers/installation.ts'
import { serveHere } from '../helpers/serve-here.ts'

async function setup(t: TestContext) {
  const { DATA_DIR, jeton, environment, secretKey, publishableKey, use } = await install(t)
  const server = await serveHere(t, { DATA_DIR })
  const { token = '' } = await mint(server.url, secretKey)
  return { jeton, environment, token, publishableKey, use }
}

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('jeton token inspect', () => {
  it('tells what a token says, with its times in words and its size', async (t) => {
    const { jeton, token, environment } = await setup(t)
    const { code, stdout } = await jeton(['token', 'inspect', token], { DATA_DIR: '/nowhere' })
    assert.equal(code, 0)
    for (const said of ['"fmt": "user"', `"aud": "${environment.id}"`, `${token.length} bytes`]) {
      assert.ok(stdout.includes(said), said)
    }
    assert.match(stdout, /issued {2}\d{4}-.*Z, (?:in 0|\d+) seconds?(?: ago)?\n/)
    assert.match(stdout, /ends {4}\d{4}-.*Z, in (?:59 minutes|1 hour)\n/)
    const json = JSON.parse((await jeton(['token', 'inspect', token, '--json'])).stdout)
    assert.equal(json.claims.sub, 'user-1')
    assert.equal(json.header.alg, 'HS256')
    assert.equal(json.bytes, token.length)
  })

  it('looks into what the gate would not read as well, and says when there is nothing to see', async (t) => {
    const { jeton } = await install(t)
    const strange = `ek_${base64url({ alg: 'none', crit: ['x'] })}.${base64url({ exp: 'soon' })}.`
    const { code, stdout } = await jeton(['token', 'inspect', strange, '--json'])
    assert.equal(code, 0)
    assert.deepEqual(JSON.parse(stdout).header, { alg: 'none', crit: ['x'] })
    for (const none of ['hello', 'a.b.c', `${base64url([])}.${base64url({})}.x`]) {
      const refused = await jeton(['token', 'inspect', none])
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /^This is no token: .*\n$/)
    }
  })
})

describe('jeton token explain', () => {
  it('shows every rule that the gate tried, and fails when it refused', async (t) => {
    const { jeton, token, publishableKey } = await setup(t)
    const allowed = await jeton(['token', 'explain', token, '--publishable-key', publishableKey])
    assert.equal(allowed.code, 0)
    for (const rule of ['signature', 'revocation', 'publishable_key']) {
      assert.match(allowed.stdout, new RegExp(`^${rule} +ok$`, 'm'))
    }
    assert.match(allowed.stdout, /\nallowed: user token for user-1\n$/)
    const refused = await jeton(['token', 'explain', token, '--ask', 'subscribe:room-1'])
    assert.equal(refused.code, 1)
    assert.match(refused.stdout, /^ask +refused {2}A user token answers no ask of this kind\.$/m)
    assert.match(refused.stdout, /\nrefused: ask_not_for_format, close code 4001\n$/)
    const unknown = await jeton(['token', 'explain', token, '--environment', 'env_none'])
    assert.match(unknown.stderr, /^There is no such environment/)
    const forged = await jeton(['token', 'explain', `${token.slice(0, -3)}AAA`, '--json'])
    assert.equal(JSON.parse(forged.stdout).code, 'signature_invalid')
  })
})

describe('jeton signing-keys export', () => {
  it('hands out an HS256 secret that judges tokens, once it was asked for, and keeps when', async (t) => {
    const { jeton, token, environment, use } = await setup(t)
    const keys = await use(({ store }) => store.listSigningKeys(environment.id))
    const kidOf = (wanted: string) => keys.find(({ algorithm }) => algorithm === wanted)?.kid ?? ''
    const ask = ['signing-keys', 'export', '--environment', environment.id, '--kid']
    assert.match((await jeton([...ask, kidOf('HS256')])).stderr, /can mint every token .* --yes/)
    const { stdout } = await jeton([...ask, kidOf('HS256'), '--yes'])
    const jwk = JSON.parse(stdout)
    assert.deepEqual(Object.keys(jwk), ['kty', 'kid', 'alg', 'k'])
    const secret = Buffer.from(jwk.k, 'base64url')
    const { payload } = await jwtVerify(token, secret, { algorithms: ['HS256'] })
    assert.equal(payload.sub, 'user-1')
    const own = await new SignJWT({ ...payload, sub: 'somebody' })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: jwk.kid })
      .sign(secret)
    assert.match((await jeton(['token', 'explain', own])).stdout, /allowed: user token for somebody/)
    const { signingKeys } = JSON.parse(
      (await jeton(['signing-keys', 'list', '--environment', environment.id, '--json'])).stdout,
    )
    // Which stands first is not said: both may have been made in one millisecond.
    assert.deepEqual(
      signingKeys
        .map((key: { algorithm: string; exportedAt: number | null }) => [
          key.algorithm,
          key.exportedAt !== null,
        ])
        .toSorted(),
      [
        ['EdDSA', false],
        ['HS256', true],
      ],
    )
    const identity = { environmentId: environment.id, kid: 'theirs', format: channels }
    await use(({ environments }) =>
      environments.importSigningKey(identity, 'a secret that is 32 bytes long, imported'),
    )
    const imported = JSON.parse((await jeton([...ask, 'theirs', '--yes'])).stdout)
    // Whoever judges with it has to hold it to its format, as the gate does.
    assert.deepEqual(
      [imported.fmt, Buffer.from(imported.k, 'base64url').toString()],
      ['channels', 'a secret that is 32 bytes long, imported'],
    )
    assert.match((await jeton([...ask, kidOf('EdDSA'), '--yes'])).stderr, /Only HS256 secrets/)
    assert.match((await jeton([...ask, 'sig_none', '--yes'])).stderr, /no such signing key/)
  })
})
