import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { z } from 'zod'
import type { Canaries } from '../helpers/canaries.ts'
import { ADMIN_KEY, CANARY, madeEnvironment, SHORT_CANARY } from './canary-values.ts'

const madeKey = z.object({ key: z.object({ id: z.string() }), secretKey: z.string() })
const madePair = z.object({ keyId: z.string(), secretKey: z.string() })
const leakedKey = z.object({ successor: madeKey })
const openApi = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })

interface Call {
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

type Client = ReturnType<typeof createClient>
type Secrets = Awaited<ReturnType<typeof useAdminApi>>

/** Calls a server over HTTP and keeps every answer. */
export function createClient(url: string, canaries: Canaries) {
  let calls = 0
  const succeeded: string[] = []
  return { url, send, admin, uncalled }

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
    if (reply.ok) succeeded.push(`${method} ${path.split('?')[0]}`)
    const answer = await reply.text()
    const where = `the answer to ${method} ${path.slice(0, 40)} (${reply.status})`
    canaries.record(where, answer, shown(answer))
    canaries.record(`${where}, its headers`, JSON.stringify([...reply.headers]))
    return { status: reply.status, answer }
  }

  /** Each call of the API's description that never was one that succeeded. */
  async function uncalled(): Promise<string[]> {
    const { paths } = openApi.parse(JSON.parse((await send('GET', '/openapi.json', {})).answer))
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    assert.ok(described.length > 30, 'the description is not there')
    return described.filter((call) => {
      const parts = call.split(/\{\w+\}/).map(RegExp.escape)
      const pattern = new RegExp(`^${parts.join('[^/]+')}$`)
      return !succeeded.some((one) => pattern.test(one))
    })
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
export async function useAdminApi({ admin }: Client, canaries: Canaries) {
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
  const own = { kind: 'secret', localSigning: true }
  const signing = await making(keys, own, madeKey, secretOf)
  await making(`/v1/keys/${signing.key.id}/rotate`, {}, madeKey, secretOf)
  const importedSecret = 'imported-secret-9f86d081884c7d659a2feaa0c55ad015'
  canaries.plant('the imported HS256 secret', importedSecret)
  const signingKeys = `/v1/environments/${id}/signing-keys`
  await admin('POST', `${signingKeys}/import`, { kid: 'theirs', format: 'user', secret: importedSecret })
  await admin('POST', `${signingKeys}/rotate`)
  await admin('POST', `${signingKeys}/roll-back`, { algorithm: 'HS256' })
  await admin('GET', signingKeys)
  const ended = await making(keys, { kind: 'secret' }, madeKey, secretOf)
  await admin('POST', `/v1/keys/${ended.key.id}/revoke`)
  await admin('POST', `/v1/environments/${id}/archive`)
  await admin('POST', `/v1/environments/${id}/restore`)
  const shown = ['/v1/environments', `/v1/environments/${id}`, keys, `/v1/keys/${key.key.id}`]
  for (const path of shown) await admin('GET', path)
  for (const level of ['debug', 'trace']) await admin('PUT', '/v1/log-level', { level })
  return {
    id,
    secretKey: pair.secretKey,
    keyId: pair.keyId,
    leakedKey: secretOf(successor),
    endedKey: secretOf(ended),
    turnSecret,
  }
}

/** Mints a token of each format, in every way that there is, and gives them. */
export async function mintEverything({ send }: Client, canaries: Canaries, { secretKey, keyId }: Secrets) {
  const tokens: string[] = []
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
    tokens.push(tokenOf(answer))
    canaries.plantToken(`the token of ${path}`, tokenOf(answer))
    for (const credential of credentialsOf(answer)) canaries.plant('a TURN credential', credential)
  }
  const turn = await send('GET', '/v1/turn/credentials?subject=alice', { headers }, credentialsOf)
  assert.equal(turn.status, 200, turn.answer)
  for (const credential of credentialsOf(turn.answer)) canaries.plant('a TURN credential', credential)
  return tokens
}

/** Has tokens judged and revoked, good ones and broken ones. */
export async function judgeEverything({ send }: Client, { secretKey }: Secrets, tokens: readonly string[]) {
  const headers = { authorization: `Bearer ${secretKey}` }
  const form = { ...headers, 'content-type': 'application/x-www-form-urlencoded' }
  for (const token of tokens.flatMap((good) => [good, `ek_${good}`, `${good}A`, good.slice(0, -1)])) {
    const calls = [
      await send('POST', '/v1/verify', { headers, body: { token } }, credentialsOf),
      await send('POST', '/v1/introspect', { headers: form, body: `token=${token}` }, credentialsOf),
      await send('POST', '/v1/revoke', { headers: form, body: `token=${token}` }),
    ]
    assert.deepEqual(
      calls.map(({ status }) => status),
      [200, 200, 200],
    )
    await send('POST', '/v1/revocations', { headers, body: { jti: token } })
  }
  for (const body of [{ jti: 'one' }, { subject: 'alice' }]) {
    assert.equal((await send('POST', '/v1/revocations', { headers, body })).status, 200)
  }
  assert.equal((await send('GET', '/v1/revocations', { headers })).status, 200)
}

/** Those in an answer that shows them by right: to who asked for them, or in the claims of a token that holds them. */
function credentialsOf(answer: string): string[] {
  return [...answer.matchAll(/"credential":"([^"]+)"/g)].map(([, credential = '']) => credential)
}

/** Sends secrets to where they do not belong: every place of every request that there is. */
export async function doEverythingWrong({ send, admin }: Client, secrets: Secrets) {
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
export async function sendNoHttp(url: string, secretKey: string, canaries: Canaries): Promise<void> {
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
