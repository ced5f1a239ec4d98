import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { get as getOverTls } from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { eventually } from '../helpers/journal.ts'
import { type Ending, run, runApart, shared, startServer, temporaryFolder } from '../helpers/process.ts'

const cert = join(import.meta.dirname, '../fixtures/localhost-cert.pem')
const key = join(import.meta.dirname, '../fixtures/localhost-key.pem')

async function environment(DATA_DIR: string, name = 'Test') {
  const { stdout } = await run('cli/jeton.ts', ['environments', 'create', name, '--json'], { DATA_DIR })
  return JSON.parse(stdout)
}

/** A new secret key, once the server knows it. */
async function livingKey(DATA_DIR: string, url: string, name: string): Promise<string> {
  const { secretKey } = await environment(DATA_DIR, name)
  const headers = { 'x-api-key': secretKey, 'content-type': 'application/json' }
  const isKnown = async () =>
    (await fetch(`${url}/v1/tokens`, { method: 'POST', body: '{"peerId":"a"}', headers })).ok
  await eventually(isKnown, 'the key is known')
  return secretKey
}

/**
 * Sends raw bytes and gives what came back until the other side closed.
 *
 * @param ends whether no more is to come of this side
 */
async function raw(url: string, bytes: string | readonly string[], { ends = false } = {}): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: ends })
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('error', () => socket.destroy())
  for (const part of [bytes].flat()) socket.write(part)
  if (ends) socket.end()
  await once(socket, 'close')
  return answer
}

function statusesIn(answers: string): number[] {
  return [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => Number(status))
}

/** The bytes of a request, or of its beginning. */
function post(path: string, headers: string, body: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`
}

describe('a server that is told to end', () => {
  it('says so first, finishes what is in flight, closes kept-alive connections, and is gone', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const { secretKey } = await environment(DATA_DIR)
    const server = await startServer(t, { DATA_DIR })
    const { port } = new URL(server.url)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => agent.destroy())
    const readyz = async (): Promise<IncomingMessage> => {
      const [reply] = await once(request({ port, path: '/readyz', agent }).end(), 'response')
      reply.resume()
      await once(reply, 'end')
      return reply
    }
    assert.equal((await readyz()).statusCode, 200)
    // One more connection stays open and idle, and one has sent half of its request.
    const idle = connect(Number(port), '127.0.0.1')
    await once(idle, 'connect')
    const body = '{"userId":"alice","name":"Alice"}'
    const half = connect(Number(port), '127.0.0.1')
    let answer = ''
    half.on('data', (chunk) => {
      answer += chunk
    })
    half.write(
      `POST /auth/token HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${secretKey}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
    )
    const startedAt = performance.now()
    const stopped = server.stop('SIGTERM')
    let turned = await readyz()
    while (turned.statusCode === 200) turned = await readyz()
    assert.equal(turned.statusCode, 503)
    assert.equal(turned.headers.connection, 'close')
    half.write(body.slice(10))
    await once(half, 'close')
    assert.match(answer, /^HTTP\/1\.1 200 OK/)
    assert.match(answer, /\r\nconnection: close\r\n/i)
    assert.match(answer, /"token":"/)
    const { code } = await stopped
    assert.equal(code, 0)
    // The promise itself is a time: ten seconds, with several to spare.
    assert.ok(performance.now() - startedAt < 10_000)
    idle.destroy()
  })

  it('ends without a word of complaint when it has only just begun to listen', async (t) => {
    const server = await startServer(t, { DATA_DIR: await temporaryFolder(t) })
    const { code, stderr } = await server.stop('SIGINT')
    assert.deepEqual([code, stderr], [0, ''])
  })

  it('cuts off a request that never ends', async (t) => {
    const server = await startServer(t, { DATA_DIR: await temporaryFolder(t) })
    const socket: Socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.on('error', () => socket.destroy())
    socket.write('POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n')
    await once(socket, 'connect')
    assert.equal((await server.stop('SIGTERM')).code, 0)
  })
})

describe('a server that cannot write its log, which is its record too', () => {
  it('ends with one line instead of minting unrecorded', {
    skip: !existsSync('/dev/full') && 'there is no /dev/full',
  }, async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    await environment(DATA_DIR)
    const { code, stderr } = await runApart(
      'main.ts',
      [],
      { DATA_DIR, PORT: '0', JOURNAL: 'stdout' },
      openSync('/dev/full', 'w'),
    )
    assert.equal(code, 1)
    assert.match(stderr, /^The log cannot be written to standard output \(.*\); Jeton ends\.\n$/)
  })

  it('ends when nobody can read it any more', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const { secretKey } = await environment(DATA_DIR)
    const server = await startServer(t, { DATA_DIR, JOURNAL: 'stdout' })
    const ended = once(server.child, 'close')
    server.child.stdout?.destroy()
    const mint = () =>
      fetch(`${server.url}/v1/tokens`, {
        method: 'POST',
        headers: { 'x-api-key': secretKey, 'content-type': 'application/json' },
        body: '{"peerId":"a"}',
      }).catch(() => undefined)
    await mint()
    assert.equal((await ended)[0], 1)
    assert.match(server.stderr(), /The log cannot be written/)
  })

  it('mints nothing while nobody reads, says so, ends when it is told to, and goes on when it is read', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const { secretKey } = await environment(DATA_DIR)
    const server = await startServer(t, { DATA_DIR, RATE_LIMIT_KEY: '1000000/1m', JOURNAL: 'stdout' })
    const headers = { 'x-api-key': secretKey, 'content-type': 'application/json' }
    // A record of some 26 KB, so that the pipe and what may wait behind it are full after a few hundred.
    const channels = Array.from({ length: 34 }, (_, index) => `${index}`.padEnd(250, 'x'))
    const mint = async (peer: number) => {
      const body = JSON.stringify({ peerId: `p${peer}`, channels })
      const reply = await fetch(`${server.url}/v1/tokens`, { method: 'POST', headers, body })
      await reply.arrayBuffer()
      return reply.status
    }
    server.child.stdout?.pause()
    let status = 200
    for (let peer = 0; status === 200 && peer < 5_000; peer += 1) status = await mint(peer)
    assert.equal(status, 503)
    assert.equal((await fetch(`${server.url}/readyz`)).status, 503)
    server.child.stdout?.resume()
    for (let peer = 5_000; status !== 200; peer += 1) status = await mint(peer)
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200)
    server.child.stdout?.pause()
    for (let peer = 10_000; status === 200; peer += 1) status = await mint(peer)
    const stoppedAt = performance.now()
    server.child.kill('SIGTERM')
    await once(server.child, 'exit')
    assert.ok(performance.now() - stoppedAt < 10_000)
    server.child.stdout?.resume()
  })
})

async function onTheNetwork(t: Ending) {
  const DATA_DIR = join(await temporaryFolder(t), 'data')
  // Who waits for a key asks with it before it is known.
  return { DATA_DIR, server: await startServer(t, { DATA_DIR, RATE_LIMIT_AUTH_FAILURES: '10000/1m' }) }
}

describe('a server on the network', () => {
  // One for all that only asks it something.
  const running = shared(onTheNetwork)

  it('answers what is no HTTP, and goes on', async () => {
    const { server } = running()
    const malformed = await raw(server.url, 'THIS IS NOT HTTP\r\n\r\n')
    assert.match(malformed, /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json/)
    assert.match(malformed, /"error":"request_malformed"/)
    assert.match(malformed, /X-Request-Id: [\da-f-]{36}/)
    const headers = await raw(server.url, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
    assert.match(headers, /^HTTP\/1\.1 431 .*"error":"headers_too_large"/s)
    const twice = await raw(server.url, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n')
    assert.match(twice, /^HTTP\/1\.1 400 .*"error":"request_malformed"/s)
    const expecting = 'GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n'
    assert.match(await raw(server.url, expecting), /^HTTP\/1\.1 200 /)
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
  })

  it('knows within a second which keys the command line made beside it', async () => {
    const { DATA_DIR, server } = running()
    const { secretKey } = await environment(DATA_DIR, 'Beside')
    const madeAt = performance.now()
    const mint = () =>
      fetch(`${server.url}/v1/tokens`, {
        method: 'POST',
        headers: { 'x-api-key': secretKey, 'content-type': 'application/json' },
        body: '{"peerId":"a"}',
      })
    let status = 0
    while (status !== 200 && performance.now() - madeAt < 1_000) status = (await mint()).status
    assert.equal(status, 200)
  })

  it('answers a good request before it refuses what came behind it', async () => {
    const { DATA_DIR, server } = running()
    const secretKey = await livingKey(DATA_DIR, server.url, 'Another')
    const body = '{"peerId":"a"}'
    const good =
      `POST /v1/tokens HTTP/1.1\r\nHost: x\r\nX-API-KEY: ${secretKey}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`
    const answer = await raw(server.url, `${good}GARBAGE\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 200 OK.*"token":"/s)
  })

  it('does not wait for ever for a request to arrive, in its headers or in its body', async () => {
    const { DATA_DIR, server } = running()
    const secretKey = await livingKey(DATA_DIR, server.url, 'Slow')
    const begun = [
      'POST /auth/token HTTP/1.1\r\nHost: x\r\n',
      post('/nowhere', 'Content-Length: 50', '{'),
      post('/auth/token', `Content-Length: 50\r\nX-API-KEY: ${secretKey}`, '{'),
      // The first of them is answered, and what is behind it has no answer of its own then.
      `${post('/nowhere', 'Content-Length: 2', '{}')}${post('/nowhere', 'Content-Length: 50', '{')}`,
    ]
    const answers = await Promise.all(begun.map((bytes) => raw(server.url, bytes)))
    const [headers = '', ...bodies] = answers.map((answer) =>
      [...answer.matchAll(/"error":"(\w+)"/g)].map(([, code]) => code).join(),
    )
    assert.deepEqual(headers, 'request_timeout')
    assert.deepEqual(bodies, ['request_timeout', 'request_timeout', 'not_found,request_timeout'])
  })

  it('lets go of a connection whose request ends within its body, or cannot be read there', async () => {
    const { DATA_DIR, server } = running()
    const secretKey = await livingKey(DATA_DIR, server.url, 'Broken')
    const mint = post('/v1/tokens', `Content-Length: 14\r\nX-API-KEY: ${secretKey}`, '{"peerId":"a"}')
    const cases: [bytes: string, statuses: number[]][] = [
      [post('/nowhere', 'Transfer-Encoding: chunked', 'zz\r\n'), [400]],
      [
        post('/auth/token', `Transfer-Encoding: chunked\r\nX-API-KEY: ${secretKey}`, '1\r\n{\r\nzz\r\n'),
        [400],
      ],
      // This one was refused before its body was looked at.
      [post('/auth/token', 'Transfer-Encoding: chunked\r\nX-API-KEY: sk_live_no', 'zz\r\n'), [401]],
      [post('/%zz', 'Transfer-Encoding: chunked', 'zz\r\n'), [400]],
      [`${mint.repeat(3)}GARBAGE\r\n\r\n`, [200, 200, 200]],
      [`${mint.repeat(2)}${post('/nowhere', 'Transfer-Encoding: chunked', 'zz\r\n')}`, [200, 200]],
    ]
    for (const [bytes, statuses] of cases) {
      assert.deepEqual(statusesIn(await raw(server.url, bytes)), statuses, bytes)
    }
    for (const path of ['/nowhere', '/auth/token']) {
      const bytes = post(path, `Content-Length: 50\r\nX-API-KEY: ${secretKey}`, '{')
      assert.match(
        await raw(server.url, bytes, { ends: true }),
        /^HTTP\/1\.1 400 .*"error":"request_malformed"/s,
      )
    }
  })

  it('lets go of a connection that breaks while its answers wait to be read', async () => {
    const { server } = running()
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let answers = ''
    socket.setEncoding('latin1').on('data', (chunk) => {
      answers += chunk
    })
    socket.write('GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(8))
    await once(socket, 'data')
    socket.pause()
    // Its head is on the way, so that it cannot say any more that it is the last one.
    socket.write('GARBAGE\r\n\r\n')
    // What came before is read before this is answered.
    await fetch(`${server.url}/healthz`)
    socket.resume()
    await once(socket, 'close')
    assert.deepEqual(statusesIn(answers), Array(8).fill(200))
  })

  it('keeps no connection of those who stay after they were refused', async (t) => {
    const { server } = running()
    const open = () => readdirSync(`/proc/${server.child.pid}/fd`).length
    await eventually(() => fetch(`${server.url}/healthz`).then(({ ok }) => ok), 'it answers')
    const before = open()
    for (let index = 0; index < 20; index += 1) {
      const socket = connect({
        port: Number(new URL(server.url).port),
        host: '127.0.0.1',
        allowHalfOpen: true,
      })
      t.after(() => socket.destroy())
      socket.on('error', () => undefined)
      socket.resume().write(post('/nowhere', 'Transfer-Encoding: chunked', 'zz\r\n'))
      await once(socket, 'end')
    }
    await eventually(async () => open() < before + 10, 'their connections are gone')
  })

  it('speaks HTTPS itself when it is given a certificate', async (t) => {
    const server = await startServer(t, {
      DATA_DIR: await temporaryFolder(t),
      TLS_CERT_FILE: cert,
      TLS_KEY_FILE: key,
    })
    assert.match(server.url, /^https:/)
    const [reply] = await once(getOverTls(`${server.url}/readyz`, { ca: readFileSync(cert) }), 'response')
    assert.equal(reply.statusCode, 200)
    assert.match(String(reply.headers['strict-transport-security']), /max-age/)
    reply.destroy()
  })
})
