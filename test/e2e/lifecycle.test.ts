import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'
import { get as getOverTls } from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { run, startServer, temporaryFolder } from '../helpers/process.ts'

const cert = new URL('../fixtures/localhost-cert.pem', import.meta.url).pathname
const key = new URL('../fixtures/localhost-key.pem', import.meta.url).pathname

async function environment(DATA_DIR: string) {
  const { stdout } = await run('cli/jeton.ts', ['environments', 'create', 'Test', '--json'], { DATA_DIR })
  return JSON.parse(stdout)
}

/** Sends raw bytes and gives what came back until the other side closed. */
async function raw(url: string, bytes: string | readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('error', () => socket.destroy())
  for (const part of [bytes].flat()) socket.write(part)
  await once(socket, 'close')
  return answer
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
    assert.match(answer, /"token":"/)
    const { code } = await stopped
    assert.equal(code, 0)
    // The promise itself is a time: ten seconds, with several to spare.
    assert.ok(performance.now() - startedAt < 10_000)
    idle.destroy()
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

describe('a server on the network', () => {
  it('answers what is no HTTP, and goes on', async (t) => {
    const server = await startServer(t, { DATA_DIR: await temporaryFolder(t) })
    const malformed = await raw(server.url, 'THIS IS NOT HTTP\r\n\r\n')
    assert.match(malformed, /^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json/)
    assert.match(malformed, /"error":"request_malformed"/)
    assert.match(malformed, /X-Request-Id: [\da-f-]{36}/)
    const headers = await raw(server.url, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
    assert.match(headers, /^HTTP\/1\.1 431 .*"error":"headers_too_large"/s)
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200)
  })

  it('does not wait for ever for a request to arrive', async (t) => {
    const server = await startServer(t, { DATA_DIR: await temporaryFolder(t) })
    const slow = await raw(server.url, 'POST /auth/token HTTP/1.1\r\nHost: x\r\n')
    assert.match(slow, /^HTTP\/1\.1 408 .*"error":"request_timeout"/s)
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

describe('the command line beside a running server', () => {
  it('makes keys that the server knows within a second', async (t) => {
    const DATA_DIR = join(await temporaryFolder(t), 'data')
    const server = await startServer(t, { DATA_DIR })
    const { secretKey } = await environment(DATA_DIR)
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
})
