import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { peerClaims } from '../../src/formats/peer.ts'
import { peerSecretFault, signPeerToken } from '../../src/keys/peer-secret.ts'
import { run, temporaryFolder } from '../helpers/process.ts'
import { serveHere } from '../helpers/serve-here.ts'

const vector = JSON.parse(readFileSync(new URL('../vectors/peer-token.json', import.meta.url), 'utf8'))
const identity = ['--peer-id', 'alice', '--group-id', 'default']
const createToken = (args: readonly string[], env: Record<string, string> = {}) =>
  run('cli/jeton.ts', ['create-token', ...args], env)

describe('a peer token that is signed here', () => {
  it('is the golden one, byte for byte', () => {
    assert.equal(signPeerToken(vector.kid, vector.secret, vector.payload), vector.token)
  })

  it('has the product’s two header members and four claims, and nothing of ours', async () => {
    const { code, stdout, stderr } = await createToken([
      ...identity,
      '--api-key',
      vector.kid,
      '--api-secret',
      vector.secret,
      '--duration',
      '60',
      '--allow-policy',
      'default:*',
    ])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    const token = stdout.trim()
    assert.deepEqual(decodeProtectedHeader(token), vector.header)
    const { payload } = await jwtVerify(token, await importJWK(vector.publicJwk, 'EdDSA'))
    assert.equal(JSON.stringify({ ...payload, exp: vector.payload.exp }), JSON.stringify(vector.payload))
  })

  it('takes the key from the environment, and the flag wins', async () => {
    const env = { PULSEBEAM_API_KEY: 'kid_env', PULSEBEAM_API_SECRET: vector.secret }
    assert.equal(decodeProtectedHeader((await createToken(identity, env)).stdout).kid, 'kid_env')
    const flag = await createToken([...identity, '--api-key', 'kid_flag'], env)
    assert.equal(decodeProtectedHeader(flag.stdout).kid, 'kid_flag')
    const { exp, ap } = decodeJwt(flag.stdout)
    assert.equal(ap, null)
    assert.ok(Math.abs(Number(exp) - Date.now() / 1000 - 3_600) < 60)
  })

  it('is null where there is no policy', () => {
    assert.equal(
      JSON.stringify(peerClaims(1, 'g', 'p', undefined)),
      '{"exp":1,"gid":"g","pid":"p","ap":null}',
    )
  })
})

describe('jeton create-token', () => {
  const key = ['--api-key', 'kid_1']
  const wrong: [string, string[], RegExp][] = [
    [
      'a secret that is no hex',
      [...identity, ...key, '--api-secret', 'sk_canary'],
      /^invalid secret format, expecting hex\n$/,
    ],
    [
      'a secret without its prefix',
      [...identity, ...key, '--api-secret', 'canary'],
      /^invalid secret format, expecting hex\n$/,
    ],
    [
      'a secret that is too short',
      [...identity, ...key, '--api-secret', 'sk_abcd'],
      /^invalid secret length\n$/,
    ],
    [
      'a policy without a colon',
      [...identity, ...key, '--api-secret', vector.secret, '--allow-policy', 'x'],
      /^The policy has no :/,
    ],
    [
      'a policy with two *',
      [...identity, ...key, '--api-secret', vector.secret, '--allow-policy', '**:a'],
      /^The policy has a group pattern/,
    ],
    [
      'a duration of nothing',
      [...identity, ...key, '--api-secret', vector.secret, '--duration', '0'],
      /^The duration must be/,
    ],
    [
      'a duration in words',
      [...identity, ...key, '--api-secret', vector.secret, '--duration', '1h'],
      /^The duration must be/,
    ],
    [
      'a peer id that cannot be',
      ['--peer-id', 'a b', '--group-id', 'g', ...key, '--api-secret', vector.secret],
      /^The peer id must be/,
    ],
    ['no secret', [...identity, ...key], /--api-secret/],
    ['an empty key id', [...identity, '--api-key', '', '--api-secret', vector.secret], /^The key id must be/],
    [
      'a secret of two lines',
      [...identity, ...key, '--api-secret', 'sk_live_canary\nx', '--url', 'http://127.0.0.1:9'],
      /^The secret must be/,
    ],
    [
      'a URL with a password',
      [...identity, ...key, '--api-secret', 'sk_live_x', '--url', 'http://u:canary@127.0.0.1:9'],
      /^The URL of Jeton must be/,
    ],
    [
      'a secret behind a mistyped option',
      [...identity, ...key, '--api-secret', vector.secret, '--api-secretx=sk_canary'],
      /unknown option/,
    ],
    [
      'a Jeton key and nowhere to ask',
      [...identity, ...key, '--api-secret', 'sk_live_canary'],
      /^Say where Jeton is/,
    ],
  ]
  for (const [what, args, message] of wrong) {
    it(`refuses ${what} on standard error, and repeats no secret`, async () => {
      const { code, stdout, stderr } = await createToken(args)
      assert.notEqual(code, 0)
      assert.equal(stdout, '')
      assert.match(stderr, message)
      assert.equal(stderr.includes('canary') || stderr.includes(vector.secret), false)
    })
  }

  it('splits a policy at the last colon', async () => {
    const secret = ['--api-key', 'k', '--api-secret', vector.secret]
    const { stdout } = await createToken([...identity, ...secret, '--allow-policy', 'chat:room-12:user-*'])
    assert.deepEqual(decodeJwt(stdout).ap, { group_id: 'chat:room-12', peer_id: 'user-*' })
  })

  it('asks a Jeton for a key of its own, and passes its refusals on', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const created = await run('cli/jeton.ts', ['environments', 'create', 'Test', '--json'], { DATA_DIR })
    const { keyId, secretKey, environment } = JSON.parse(created.stdout)
    const server = await serveHere(t, { DATA_DIR })
    const ask = (secret: string) =>
      createToken([...identity, '--api-key', keyId, '--api-secret', secret, '--allow-policy', 'g*:*'], {
        JETON_URL: `${server.url}/`,
      })
    const { code, stdout, stderr } = await ask(secretKey)
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(decodeJwt(stdout).aud, environment.id)
    assert.deepEqual(decodeJwt(stdout).ap, { group_id: 'g*', peer_id: '*' })
    const refused = await ask(`${secretKey.slice(0, -1)}_`)
    assert.deepEqual([refused.code, refused.stdout], [1, ''])
    assert.match(refused.stderr, /^The key is mistyped or cut short/)
    const nowhere = await createToken([
      ...identity,
      '--api-key',
      keyId,
      '--api-secret',
      secretKey,
      '--url',
      'http://127.0.0.1:9',
    ])
    assert.match(nowhere.stderr, /cannot be reached/)
    assert.equal(nowhere.stderr.includes(secretKey), false)
  })
})

describe('a PulseBeam secret', () => {
  it('is sk_ and 64 hex digits, of either case', () => {
    assert.equal(peerSecretFault(vector.secret), undefined)
    assert.equal(peerSecretFault(vector.secret.toUpperCase().replace('SK_', 'sk_')), undefined)
    assert.equal(peerSecretFault(`${vector.secret}0`), 'invalid secret length')
    assert.equal(peerSecretFault('sk_'), 'invalid secret length')
    assert.equal(peerSecretFault(vector.secret.replace(/.$/, 'g')), 'invalid secret format, expecting hex')
  })
})
