import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { z } from 'zod'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { type Canaries, createCanaries } from '../helpers/canaries.ts'
import { run, startServer, temporaryFolder } from '../helpers/process.ts'

const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))
const CANARY = 'canary-7f3a9c51e2d84b06'
/** Short enough to stand whole in what a JSON parser says of a text that it cannot read. */
const SHORT_CANARY = 'Zk7Qw9Xp'

const madeEnvironment = z.object({
  environment: z.object({ id: z.string() }),
  keyId: z.string(),
  secretKey: z.string(),
})
const madeKey = z.object({ key: z.object({ id: z.string() }), secretKey: z.string() })
const madePair = z.object({ keyId: z.string(), secretKey: z.string() })
const leakedKey = z.object({ successor: madeKey })
const iceServers = z.object({ iceServers: z.array(z.object({ credential: z.string() })) })
const openApi = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })

interface Call {
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

describe('a secret', () => {
  it('appears in no list, log, error, database file or backup, whatever is done', async (t) => {
    const canaries = createCanaries()
    canaries.plantKey('the admin key', ADMIN_KEY)
    canaries.plant('what a caller sent', CANARY)
    canaries.plant('what a caller sent as JSON', SHORT_CANARY)
    const installation = await installed(t, canaries)
    const { DATA_DIR, elsewhere, recordData } = installation
    const server = await startServer(t, {
      DATA_DIR,
      ADMIN_KEY,
      LOG_LEVEL: 'trace',
      SANDBOX: 'true',
      TRUST_PROXY: '127.0.0.1',
    })
    const client = createClient(server.url, canaries)
    const secrets = await useAdminApi(client, canaries)
    await mintEverything(client, canaries, secrets)
    await doEverythingWrong(client, secrets)
    await sendNoHttp(server.url, secrets.secretKey, canaries)
    await useCommandLine(installation, canaries, { ...secrets, url: server.url })

    recordData('while a server runs')
    canaries.record('a backup', readFileSync(join(elsewhere, 'backup.db')))
    await server.stop('SIGKILL')
    recordData('after a kill')
    canaries.record('standard output', server.stdout())
    canaries.record('standard error', server.stderr())
    await startWrong(installation, canaries)
    const restored = await installation.jeton(['restore', join(elsewhere, 'backup.db'), '--yes'])
    const rotated = await installation.jeton(['master-key', 'rotate', '--yes'])
    assert.deepEqual([restored.code, rotated.code], [0, 0])
    recordData('after a restore under a new master key')

    t.diagnostic(`${canaries.sizeBytes()} bytes were looked through`)
    assert.ok(server.stdout().split('\n').length > 100, 'the log was not written')
    assert.deepEqual(canaries.found(), [])
  })

  // What makes the one above worth anything: it finds what there is.
  it('is found as text, in hex and within base64, by the search itself', () => {
    const secret = Buffer.from('a secret with ÿþ in it')
    const forms = [
      secret,
      secret.toString('hex'),
      secret.toString('hex').toUpperCase(),
      ...['', 'x', 'xy'].flatMap((before) => {
        const bytes = Buffer.concat([Buffer.from(before), secret, Buffer.from('behind')])
        return [bytes.toString('base64'), bytes.toString('base64url')]
      }),
    ]
    for (const form of forms) {
      const canaries = createCanaries()
      canaries.plant('it', secret)
      canaries.record('here', Buffer.concat([Buffer.from('before '), Buffer.from(form)]))
      assert.notDeepEqual(canaries.found(), [], String(form))
    }
  })
})

type Installed = Awaited<ReturnType<typeof installed>>
type Client = ReturnType<typeof createClient>
type Secrets = Awaited<ReturnType<typeof useAdminApi>>

/** A data folder with one environment and a generated master key. */
async function installed(t: TestContext, canaries: Canaries) {
  const [DATA_DIR, elsewhere] = [await temporaryFolder(t), await temporaryFolder(t)]
  const file = (name: string, content: string) => {
    writeFileSync(join(elsewhere, name), content)
    return join(elsewhere, name)
  }
  const jeton = async (args: readonly string[], shown: readonly string[] = [], env = {}) => {
    const ended = await run('cli/jeton.ts', args, { DATA_DIR, LOG_LEVEL: 'trace', ...env })
    canaries.record(`jeton ${args[0]} ${args[1]}: output`, ended.stdout, shown)
    canaries.record(`jeton ${args[0]} ${args[1]}: errors`, ended.stderr)
    return ended
  }
  // The answers that show a secret are the ones of these two.
  const making = async (args: readonly string[]) =>
    (await run('cli/jeton.ts', [...args, '--json'], { DATA_DIR })).stdout
  const made = madeEnvironment.parse(JSON.parse(await making(['environments', 'create', 'By command'])))
  canaries.plantKey('the secret key of an environment that the command line made', made.secretKey)
  const { id } = made.environment
  const key = z.object({ secretKey: z.string() })
  const { secretKey } = key.parse(JSON.parse(await making(['keys', 'create', '--environment', id])))
  canaries.plantKey('a secret key that the command line made', secretKey)
  const recordData = (when: string) => {
    const masterKeys = readFileSync(join(DATA_DIR, 'master.key'), 'utf8').split(/\s/).filter(Boolean)
    for (const masterKey of masterKeys) canaries.plant('the master key', Buffer.from(masterKey, 'base64'))
    canaries.recordFolder(when, DATA_DIR, { 'master.key': masterKeys })
  }
  return { DATA_DIR, elsewhere, file, jeton, recordData, id, secretKey }
}

function createClient(url: string, canaries: Canaries) {
  let calls = 0
  return { url, send, admin }

  /** Sends a request and keeps its answer, without what it shows by right. */
  async function send(
    method: string,
    path: string,
    { body, headers = {} }: Call,
    shown: (answer: string) => readonly string[] = () => [],
  ) {
    calls += 1
    const reply = await fetch(`${url}${path}`, {
      method,
      // Each from a network of its own, so that none is refused for another.
      headers: {
        'content-type': 'application/json',
        'x-forwarded-for': `10.${calls >> 8}.${calls & 255}.1`,
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const answer = await reply.text()
    const where = `the answer to ${method} ${path.slice(0, 40)} (${reply.status})`
    canaries.record(where, answer, shown(answer))
    canaries.record(`${where}, its headers`, JSON.stringify([...reply.headers]))
    return { status: reply.status, answer }
  }

  /** Calls the admin API, which must do what it is asked. `shown` reads the secret that the answer shows this once. */
  async function admin(
    method: string,
    path: string,
    body?: object,
    shown?: (answer: string) => readonly string[],
  ) {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` }
    const sent = method === 'GET' ? { headers } : { headers, body: body ?? {} }
    const { status, answer } = await send(method, path, sent, shown)
    assert.ok(status >= 200 && status < 300, `${method} ${path}: ${status} ${answer}`)
    return answer
  }
}

/** Makes, changes, rotates, ends and shows everything, and gives the secrets that came of it. */
async function useAdminApi({ admin }: Client, canaries: Canaries) {
  const making = async <T>(
    path: string,
    body: object,
    schema: z.ZodType<T>,
    secretOf: (made: T) => string,
  ) => {
    const read = (answer: string) => schema.parse(JSON.parse(answer))
    const made = read(await admin('POST', path, body, (answer) => [secretOf(read(answer))]))
    canaries.plantKey(`the secret key that POST ${path} made`, secretOf(made))
    return made
  }
  const secretOf = ({ secretKey }: { secretKey: string }) => secretKey
  const first = await making('/v1/environments', { name: 'By HTTP' }, madeEnvironment, secretOf)
  const { id } = first.environment
  const keys = `/v1/environments/${id}/keys`
  const turnSecret = 'turn-secret-2b7e151628aed2a6abf7158809cf4f3c'
  canaries.plant('the TURN secret', turnSecret)
  await admin('PATCH', `/v1/environments/${id}`, {
    name: 'Renamed',
    settings: { subjectLimit: { count: 100, windowSeconds: 60 } },
    turn: { urls: ['turn:turn.example.com'], secret: turnSecret },
  })
  const key = await making(keys, { kind: 'secret', name: 'One' }, madeKey, secretOf)
  await admin('PATCH', `/v1/keys/${key.key.id}`, { name: 'Two', grant: { maxTtlSeconds: 600 } })
  const rotated = await making(`/v1/keys/${key.key.id}/rotate`, { graceSeconds: 60 }, madeKey, secretOf)
  const leak = { action: 'rotate' }
  const { successor } = await making(`/v1/keys/${rotated.key.id}/report-leak`, leak, leakedKey, (made) =>
    secretOf(made.successor),
  )
  const pair = await making(`${keys}/rotate`, { graceSeconds: 3_600 }, madePair, secretOf)
  const ended = await making(keys, { kind: 'secret' }, madeKey, secretOf)
  await admin('POST', `/v1/keys/${ended.key.id}/revoke`)
  await admin('POST', `/v1/environments/${id}/archive`)
  await admin('POST', `/v1/environments/${id}/restore`)
  for (const path of ['/v1/environments', `/v1/environments/${id}`, keys]) await admin('GET', path)
  return {
    id,
    secretKey: pair.secretKey,
    keyId: pair.keyId,
    leakedKey: secretOf(successor),
    endedKey: secretOf(ended),
    turnSecret,
  }
}

/** Mints a token of each format, in every way that there is. */
async function mintEverything({ send }: Client, canaries: Canaries, { secretKey, keyId }: Secrets) {
  const headers = { authorization: `Bearer ${secretKey}` }
  const token = (answer: string) => z.object({ token: z.string() }).parse(JSON.parse(answer)).token
  const minted: [string, object, (answer: string) => string][] = [
    ['/auth/token', { userId: 'alice', name: 'Alice' }, token],
    ['/v1/tokens', { peerId: 'alice', channels: ['room'], permissions: ['publish'] }, token],
    ['/v1/client/tokens', {}, token],
    ['/v1/peer/tokens', { groupId: 'default', peerId: 'alice' }, token],
    [
      '/token',
      { apiKey: keyId, apiSecret: secretKey, groupId: 'default', peerId: 'bob' },
      (answer) => answer,
    ],
  ]
  for (const [path, body, tokenOf] of minted) {
    const shown = (answer: string) => [tokenOf(answer), ...credentialsOf(answer)]
    const { status, answer } = await send('POST', path, { body, headers }, shown)
    assert.equal(status, 200, `${path}: ${answer}`)
    canaries.plantToken(`the token of ${path}`, tokenOf(answer))
    for (const credential of credentialsOf(answer)) canaries.plant('a TURN credential', credential)
  }
  const turn = await send('GET', '/v1/turn/credentials?subject=alice', { headers }, credentialsOf)
  assert.equal(turn.status, 200, turn.answer)
  for (const credential of credentialsOf(turn.answer)) canaries.plant('a TURN credential', credential)
}

function credentialsOf(answer: string): string[] {
  if (!answer.startsWith('{')) return []
  const found = iceServers.safeParse(JSON.parse(answer))
  return found.success ? found.data.iceServers.map(({ credential }) => credential) : []
}

/** Sends secrets to where they do not belong: every place of every request that there is. */
async function doEverythingWrong({ send, admin }: Client, secrets: Secrets) {
  const { id, secretKey, leakedKey, endedKey } = secrets
  const mistyped = `${secretKey.slice(0, -1)}${secretKey.endsWith('0') ? '1' : '0'}`
  const with_ = (key: string) => ({ authorization: `Bearer ${key}` })
  const { paths } = openApi.parse(JSON.parse((await send('GET', '/openapi.json', {})).answer))
  const bodies = [
    {
      [secretKey]: CANARY,
      userId: { secret: secretKey },
      name: secretKey,
      kind: CANARY,
      apiSecret: secretKey,
    },
    `{"${SHORT_CANARY}`,
    SHORT_CANARY,
    `"${secretKey}"`,
  ]
  for (const [template, methods] of Object.entries(paths)) {
    const known = template.replaceAll('{id}', id)
    const unknown = template.replaceAll('{id}', secretKey)
    for (const method of Object.keys(methods).map((name) => name.toUpperCase())) {
      const hasBody = method !== 'GET' && method !== 'HEAD'
      const calls: [string, Call][] = [
        ...(hasBody ? bodies : [undefined]).flatMap((body): [string, Call][] => [
          [known, { body, headers: with_(ADMIN_KEY) }],
          [known, { body, headers: with_(secretKey) }],
        ]),
        [`${known}?token=${secretKey}&${ADMIN_KEY}=${CANARY}`, { headers: with_(ADMIN_KEY) }],
        [unknown, { headers: with_(mistyped) }],
        [unknown, { headers: with_(ADMIN_KEY), body: {} }],
        [known, { headers: { 'x-api-key': `${secretKey} ${CANARY}`, cookie: CANARY, referer: CANARY } }],
        [known, { headers: { ...with_(secretKey), origin: 'https://app.example.com' } }],
        [known, { headers: { ...with_(ADMIN_KEY), 'idempotency-key': `${secretKey} x` } }],
        [known, { headers: { ...with_(secretKey), 'content-type': CANARY }, body: CANARY }],
      ]
      for (const [path, { headers = {}, body }] of calls) {
        const { status } = await send(method, path, hasBody ? { headers, body } : { headers })
        assert.ok(status < 500, `${method} ${path}: ${status}`)
      }
    }
  }
  for (const path of [`/${secretKey}`, `/${CANARY}?${secretKey}`, `/%zz?${CANARY}`, `/docs/${ADMIN_KEY}`]) {
    assert.ok((await send('GET', path, {})).status < 500)
  }
  for (const key of [leakedKey, endedKey, mistyped, ADMIN_KEY, CANARY]) {
    await send('POST', '/v1/tokens', { body: { peerId: 'a' }, headers: with_(key) })
    await send('POST', '/v1/tokens', { body: { peerId: 'a' }, headers: { 'x-api-key': key } })
  }
  const shown = await admin('GET', `/v1/environments/${id}/keys`)
  assert.match(shown, /"exposed":true/)
}

/** Sends bytes with secrets in them that are no request. */
async function sendNoHttp(url: string, secretKey: string, canaries: Canaries): Promise<void> {
  const requests = [
    `${secretKey} ${CANARY}\r\n\r\n`,
    `GET /?token=${secretKey} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nAuthorization ${secretKey}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\nAuthorization: ${secretKey.repeat(500)}\r\n\r\n`,
    `POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: ${CANARY}\r\n\r\n`,
  ]
  for (const bytes of requests) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('data', (answer) => canaries.record('the answer to what is no request', answer))
    socket.on('error', () => socket.destroy())
    socket.write(bytes)
    await once(socket, 'close')
  }
}

/** Runs every command that takes or could show a secret, rightly and wrongly. */
async function useCommandLine(
  { jeton, file, id, secretKey, elsewhere }: Installed,
  canaries: Canaries,
  { keyId, secretKey: mints, url }: Secrets & { url: string },
): Promise<void> {
  const hs256 = 'imported-secret-of-more-than-thirty-two-bytes'
  const seed = systemSeams.random(32)
  canaries.plant('an imported HS256 secret', hs256)
  canaries.plant('an imported Ed25519 seed', seed)
  const secretFile = file('hs256', `${hs256}\n`)
  const importing = ['signing-keys', 'import', '--environment', id]
  const right = [
    ['environments', 'turn', id, '--url', 'turn:a', '--secret-file', secretFile],
    [...importing, '--format', 'user', '--kid', 'theirs', '--secret-file', secretFile],
    [
      ...importing,
      '--format',
      'peer',
      '--kid',
      'seed',
      '--secret-file',
      file('seed', `sk_${Buffer.from(seed).toString('hex')}`),
    ],
    ['environments', 'list'],
    ['environments', 'list', '--json'],
    ['keys', 'list', '--json'],
    ['keys', 'list'],
    ['signing-keys', 'rotate', '--environment', id],
    ['signing-keys', 'list', '--environment', id, '--json'],
    ['backup', join(elsewhere, 'backup.db')],
    ['doctor', '--json'],
  ]
  for (const args of right) {
    const { code, stderr } = await jeton(args)
    // A doctor may find something to mend; what it says is looked through all the same.
    assert.ok(code === 0 || args[0] === 'doctor', `${args.join(' ')}: ${stderr}`)
  }
  const asking = ['create-token', '--api-key', keyId, '--api-secret', mints, '--url', url]
  const token = await run('cli/jeton.ts', [...asking, '--peer-id', 'a', '--group-id', 'b'], {})
  canaries.plantToken('the token that the command line asked for', token.stdout.trim())
  const wrong = [
    [...asking, '--peer-id', 'a', '--group-id', CANARY.repeat(3)],
    [...importing, '--format', 'user', '--kid', 'theirs', '--secret-file', secretFile],
    [...importing, '--format', 'peer', '--kid', 'wrong', '--secret-file', secretFile],
    [...importing, '--format', 'user', '--kid', 'wrong', '--secret', secretKey],
    ['keys', 'list', '--environment', secretKey],
    ['keys', 'create', '--environment', id, `--grant=${secretKey}`],
    ['keys', 'create', '--environment', id, '--grant', secretFile],
    ['keys', secretKey],
    [secretKey],
  ]
  await Promise.all(
    wrong.map(async (args) => assert.notEqual((await jeton(args)).code, 0, args.slice(0, 2).join(' '))),
  )
}

/** Starts with secrets that cannot be ones. */
async function startWrong({ DATA_DIR }: Installed, canaries: Canaries): Promise<void> {
  const faults: Record<string, string>[] = [
    { ADMIN_KEY: `${ADMIN_KEY.slice(0, -1)}-` },
    { MASTER_KEY: `${Buffer.from(CANARY).toString('base64')}=` },
    { MASTER_KEY: Buffer.from(CANARY.padEnd(32, 'x').slice(0, 32)).toString('base64') },
    { ADMIN_KEY, PORT: CANARY },
  ]
  for (const env of faults) {
    const { code, stdout, stderr } = await run('main.ts', [], { DATA_DIR, PORT: '0', ...env })
    assert.equal(code, 1)
    canaries.record('a start that failed', stdout + stderr)
  }
}
