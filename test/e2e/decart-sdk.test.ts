import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createDecartClient } from '@decartai/sdk'
import { importJWK, type JWTPayload, jwtVerify } from 'jose'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { changesSince } from '../helpers/changes.ts'
import { run, startServer, temporaryFolder } from '../helpers/process.ts'

const PUBLIC_URL = 'https://tokens.example.com'

/** What the limited key of `startJeton` may put into a token. */
const grant = { models: ['lucy-pro-v2v'], origins: ['https://example.com'], maxTtlSeconds: 30 }

const keyTexts = JSON.parse(readFileSync(new URL('../vectors/key-text.json', import.meta.url), 'utf8'))

test('the Decart SDK, as it comes from npm', async (t) => {
  // One server for all: none of these guarantees needs a fresh one, and a process each would take long.
  const jeton = await startJeton(t)
  const { tokens, limited, verify } = jeton

  await t.test('gets a client key and nothing that it did not ask for, with no options', async () => {
    const { token = '', ...reply } = await tokens.create()
    const { iat = 0, jti, ...claims } = await verify(token)
    assert.deepEqual(reply, { apiKey: `ek_${token}`, expiresAt: endOf(claims) })
    assert.match(reply.expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
    assert.match(String(jti), /^[\w-]{22}$/)
    assert.deepEqual(claims, {
      sub: jeton.keyId,
      iss: `${PUBLIC_URL}/environments/${jeton.environmentId}`,
      aud: jeton.environmentId,
      exp: iat + 60,
      client_id: jeton.keyId,
      fmt: 'client',
    })
  })

  await t.test('gets every option that it sends, and sees the metadata in the token alone', async () => {
    const client = clientOf({
      apiKey: jeton.secretKey,
      baseUrl: jeton.url,
      integration: 'some-framework/1.0.0',
    })
    const models = ['lucy-pro-v2v', 'lucy-restyle-v2v', 'one-of-tomorrow']
    const origins = ['https://example.com', 'http://localhost:5173']
    const constraints = { realtime: { maxSessionDuration: 120 } }
    const metadata = { role: 'viewer', nested: { list: [1, null, 'ü'] } }
    const asked = { expiresIn: 300, allowedModels: models, allowedOrigins: origins, constraints, metadata }
    const { token = '', ...reply } = await client.create(forUser('every-option', asked))
    const { iat = 0, jti, iss, aud, client_id, ...claims } = await verify(token)
    const permissions = { models, origins }
    assert.deepEqual(reply, { apiKey: `ek_${token}`, expiresAt: endOf(claims), permissions, constraints })
    const rest = { sub: 'every-option', exp: iat + 300, fmt: 'client' }
    assert.deepEqual(claims, { models, origins, constraints, metadata, ...rest })
  })

  await t.test('is answered of the permissions only the part that it asked for', async () => {
    const ofModels = await tokens.create({ allowedModels: ['lucy-pro-v2v'] })
    assert.deepEqual(ofModels.permissions, { models: ['lucy-pro-v2v'] })
    const ofOrigins = await tokens.create({ allowedOrigins: ['https://example.com'] })
    assert.deepEqual(ofOrigins.permissions, { origins: ['https://example.com'] })
    for (const reply of [ofModels, ofOrigins]) assert.equal('constraints' in reply, false)
  })

  await t.test('may send null for what it leaves out', async () => {
    const names = ['expiresIn', 'allowedModels', 'allowedOrigins', 'constraints', 'metadata', 'userId']
    const { token = '', ...reply } = await tokens.create(
      Object.fromEntries(names.map((name) => [name, null])),
    )
    assert.deepEqual(Object.keys(reply).sort(), ['apiKey', 'expiresAt'])
    const { sub, exp = 0, iat = 0 } = await verify(token)
    assert.deepEqual([sub, exp - iat], [jeton.keyId, 60])
  })

  await t.test('gets 60 tokens at once when it names no user, each another one', async () => {
    const replies = await Promise.all(Array.from({ length: 60 }, () => tokens.create()))
    assert.equal(new Set(replies.map(({ apiKey }) => apiKey)).size, 60)
  })

  await t.test('may have a slash at the end of its base URL', async () => {
    const client = clientOf({ apiKey: jeton.secretKey, baseUrl: `${jeton.url}/` })
    const { token = '' } = await client.create()
    assert.equal((await verify(token)).fmt, 'client')
  })

  await t.test('gets a token that holds what its key is limited to, when it leaves that out', async () => {
    const { token = '', ...reply } = await limited.create()
    const { models, origins, exp = 0, iat = 0 } = await verify(token)
    assert.deepEqual({ models, origins, maxTtlSeconds: exp - iat }, grant)
    assert.deepEqual(Object.keys(reply).sort(), ['apiKey', 'expiresAt'])
  })

  await t.test('is told the limit of a user who had enough, and how long to wait', async () => {
    const options = forUser('had-enough', { expiresIn: 60 })
    for (let count = 0; count < 10; count += 1) await tokens.create(options)
    const sentence = /^This subject had its 10 tokens within 60 s\. The next is possible in \d+ s\.$/
    await assert.rejects(tokens.create(options), saying(429, 'rate_limited', sentence))
    await tokens.create(forUser('another', { expiresIn: 60 }))
    await tokens.create()
  })

  const { apiKey, token = '' } = await tokens.create()
  const cases: [string, () => Promise<unknown>, number, string, string][] = [
    [
      'a key that is not known',
      () => clientOf({ apiKey: keyTexts.valid[0], baseUrl: jeton.url }).create(),
      401,
      'key_unknown',
      'No key like this exists here.',
    ],
    [
      'a key that is mistyped',
      () => clientOf({ apiKey: keyTexts.malformed[0], baseUrl: jeton.url }).create(),
      401,
      'key_malformed',
      'The key is mistyped or cut short: its checksum does not match.',
    ],
    [
      'no key, which is how its proxy mode asks',
      () => clientOf({ proxy: jeton.url }).create(),
      401,
      'key_missing',
      'Send the secret key as "Authorization: Bearer sk_…" or "X-API-KEY: sk_…".',
    ],
    [
      'a publishable key',
      () => clientOf({ apiKey: jeton.publishableKey, baseUrl: jeton.url }).create(),
      403,
      'key_kind_wrong',
      'This is a publishable key; a secret key (sk_…) is needed here.',
    ],
    ...[apiKey, token].map((text): (typeof cases)[number] => [
      `${text.slice(0, 3)}…, a token, as its key`,
      () => clientOf({ apiKey: text, baseUrl: jeton.url }).create(),
      403,
      'cannot_mint_with_token',
      'This is a token, and a token cannot mint: send a secret key (sk_…).',
    ]),
    [
      'an expiresIn that is too short',
      () => tokens.create({ expiresIn: 0 }),
      400,
      'body_invalid',
      'expiresIn must be at least 1.',
    ],
    [
      'an expiresIn that is too long',
      () => tokens.create({ expiresIn: 3_601 }),
      400,
      'body_invalid',
      'expiresIn must be at most 3600.',
    ],
    [
      'a model beyond its key’s grant',
      () => limited.create({ expiresIn: 30, allowedModels: ['lucy-pro-v2v', 'lucy-restyle-v2v'] }),
      403,
      'beyond_grant',
      'models: lucy-restyle-v2v is beyond this key, which allows lucy-pro-v2v.',
    ],
    [
      'a life beyond its key’s grant',
      () => limited.create({ expiresIn: 31 }),
      403,
      'beyond_grant',
      'maxTtlSeconds: 31 is beyond this key, which allows 30.',
    ],
  ]
  for (const [what, create, status, error, sentence] of cases) {
    await t.test(`shows Jeton’s own sentence and status for ${what}`, async () => {
      await assert.rejects(create(), saying(status, error, sentence))
    })
  }
})

/** A server process with one environment and two secret keys, the second one limited, and the SDK with each. */
async function startJeton(t: TestContext) {
  const DATA_DIR = await temporaryFolder(t)
  const { environment, keyId, secretKey, publishableKey } = await cli('environments', 'create', 'Test')
  const grantFile = join(DATA_DIR, 'grant.json')
  await writeFile(grantFile, JSON.stringify(grant))
  const limitedKey = await cli('keys', 'create', '--environment', environment.id, '--grant', grantFile)
  const { url } = await startServer(t, { DATA_DIR, PUBLIC_URL })
  return {
    url,
    environmentId: String(environment.id),
    keyId: String(keyId),
    secretKey: String(secretKey),
    publishableKey: String(publishableKey),
    tokens: clientOf({ apiKey: secretKey, baseUrl: url }),
    limited: clientOf({ apiKey: limitedKey.secretKey, baseUrl: url }),
    verify: await verifier(DATA_DIR, environment.id),
  }

  async function cli(...args: string[]) {
    const { code, stdout, stderr } = await run('cli/jeton.ts', [...args, '--json'], { DATA_DIR })
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  }
}

/** Gives the claims of a token, once the environment's public key has confirmed them. */
async function verifier(DATA_DIR: string, environmentId: string) {
  const store = openSqlite(join(DATA_DIR, 'jeton.db'))
  const { signingKeys } = await changesSince(store, 0)
  await store.close()
  const found = signingKeys.find(({ algorithm }) => algorithm === 'EdDSA')
  assert.ok(found?.publicJwk)
  const { kid, publicJwk } = found
  const key = await importJWK(JSON.parse(publicJwk), 'EdDSA')
  return async (token: string): Promise<JWTPayload> => {
    const options = { algorithms: ['EdDSA'], audience: environmentId }
    const { protectedHeader, payload } = await jwtVerify(token, key, options)
    assert.deepEqual(protectedHeader, { alg: 'EdDSA', typ: 'JWT', kid })
    return payload
  }
}

function clientOf(options: Parameters<typeof createDecartClient>[0]) {
  return createDecartClient(options).tokens
}

// `userId` is ours: the SDK's types do not know it, and it passes on whatever it is given.
function forUser<Options extends object>(userId: string, options: Options): Options {
  return { ...options, userId }
}

/** What `expiresAt` says of a token with these claims. */
function endOf({ exp = 0 }: JWTPayload): string {
  return new Date(exp * 1000).toISOString()
}

/**
 * Whether the SDK threw this. It throws an object that is no Error, whose message has the raw body in it: the body is
 * what its user reads.
 */
function saying(status: number, error: string, sentence: string | RegExp) {
  return ({ code, message, data }: { code: string; message: string; data: unknown }): true => {
    assert.deepEqual({ code, data }, { code: 'TOKEN_CREATE_ERROR', data: { status } })
    const [, head, body = ''] = /^(Failed to create token: \d+ - )(.*)$/s.exec(message) ?? []
    assert.equal(head, `Failed to create token: ${status} - `, message)
    const problem = JSON.parse(body)
    assert.equal(problem.error, error)
    if (typeof sentence === 'string') assert.equal(problem.message, sentence)
    else assert.match(problem.message, sentence)
    return true
  }
}
