import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createWebhook, type Lookup, sign, type WebhookTarget } from '../../src/alerts/webhook.ts'
import { type Answer, startReceiver, status } from '../helpers/receiver.ts'
import { START_MS } from '../helpers/seams.ts'

const SECRET = Buffer.alloc(32, 7)
const MESSAGE = { id: 'alr_1_raised', body: '{"type":"spike.raised","data":{"issued":120}}' }
const FIXTURES = join(import.meta.dirname, '../fixtures')
const TLS = {
  cert: readFileSync(join(FIXTURES, 'localhost-cert.pem'), 'utf8'),
  key: readFileSync(join(FIXTURES, 'localhost-key.pem'), 'utf8'),
}

const nobodyAsks: Lookup = () => Promise.reject(new Error('No name was to be looked up'))
const failed = (reason: string) => ({ result: 'failed', reason, retryAfterSeconds: undefined, isGone: false })
const refused = { result: 'refused', reason: 'address_not_allowed' }

function send(target: Partial<WebhookTarget> & { url: string }, lookup: Lookup = nobodyAsks, attempt = 1) {
  const webhook = createWebhook({
    target: { secrets: [SECRET], allowPrivate: true, ...target },
    lookup,
    now: () => START_MS,
    withinMs: 5_000,
  })
  return webhook.send(MESSAGE, attempt, new AbortController().signal)
}

describe('a webhook', () => {
  it('posts the body as it is, signed as Standard Webhooks says', async (t) => {
    const { url, received } = await startReceiver(t)
    assert.deepEqual(await send({ url: `${url}/hook?team=1` }), { result: 'delivered' })
    const [{ path, headers, body } = { path: '', headers: {}, body: '' }] = received
    assert.deepEqual([path, body], ['/hook?team=1', MESSAGE.body])
    const timestamp = String(START_MS / 1000)
    const signature = createHmac('sha256', SECRET)
      .update(`alr_1_raised.${timestamp}.${body}`)
      .digest('base64')
    assert.deepEqual(
      [
        headers['webhook-id'],
        headers['webhook-timestamp'],
        headers['webhook-signature'],
        headers['content-type'],
        headers.authorization,
      ],
      ['alr_1_raised', timestamp, `v1,${signature}`, 'application/json', undefined],
    )
  })

  it('signs what the specification gives as its example', () => {
    // standard-webhooks/libraries, the secret and message that each of them is tested with.
    const secret = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
    assert.equal(
      sign(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, '{"test": 2432232314}'),
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    )
  })

  it('signs with both secrets while they change, and sends the URL’s user', async (t) => {
    const { port, received } = await startReceiver(t)
    const secrets = [SECRET, Buffer.alloc(24, 8)]
    await send({ url: `http://jeton:p%40ss@127.0.0.1:${port}/`, secrets })
    const [one] = received
    assert.equal(one?.headers.authorization, `Basic ${Buffer.from('jeton:p@ss').toString('base64')}`)
    const signatures = secrets.map((secret) => sign(secret, MESSAGE.id, START_MS / 1000, MESSAGE.body))
    assert.equal(one?.headers['webhook-signature'], signatures.join(' '))
  })

  it('follows no redirect', async (t) => {
    const other = await startReceiver(t)
    for (const code of [301, 302, 303, 307, 308]) {
      const { url, received } = await startReceiver(t, status(code, { location: other.url }))
      assert.deepEqual(await send({ url }), failed(`status_${code}`))
      assert.equal(received.length, 1)
    }
    assert.deepEqual(other.received, [])
  })

  it('takes 2xx alone for delivered, and hears when to come back and when never', async (t) => {
    for (const [code, headers, expected] of [
      [200, {}, { result: 'delivered' }],
      [299, {}, { result: 'delivered' }],
      [400, {}, failed('status_400')],
      [500, {}, failed('status_500')],
      [503, { 'retry-after': '120' }, { ...failed('status_503'), retryAfterSeconds: 120 }],
      [429, { 'retry-after': 'Wed, 21 Oct 2099 07:28:00 GMT' }, failed('status_429')],
      [410, {}, { ...failed('status_410'), isGone: true }],
    ] as const) {
      const { url } = await startReceiver(t, status(code, headers))
      assert.deepEqual(await send({ url }), expected, String(code))
    }
  })

  it('is not held up by a receiver that never answers, or never ends', { timeout: 20_000 }, async (t) => {
    const quick = (url: string) =>
      createWebhook({
        target: { url, secrets: [SECRET], allowPrivate: true },
        lookup: nobodyAsks,
        now: () => START_MS,
        withinMs: 150,
      }).send(MESSAGE, 1, new AbortController().signal)
    const silent = await startReceiver(t, () => undefined)
    assert.deepEqual(await quick(silent.url), failed('timeout'))
    const dripping = await startReceiver(t, (response) => response.writeHead(200).write('x'))
    assert.deepEqual(await quick(dripping.url), { result: 'delivered' })
  })

  it('is not held up by a receiver that speaks another protocol, or only says that it goes on', async (t) => {
    for (const [head, reason] of [
      ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 'no_answer'],
      ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n', 'ECONNRESET'],
      ['SSH-2.0-OpenSSH_9.6\r\n', 'HPE_INVALID_CONSTANT'],
    ] as const) {
      const receiver = createTcpServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', () => socket.end(head))
      }).listen(0, '127.0.0.1')
      t.after(() => receiver.close())
      await once(receiver, 'listening')
      const address = receiver.address()
      const port = typeof address === 'object' ? address?.port : 0
      assert.deepEqual(await send({ url: `http://127.0.0.1:${port}/` }), failed(reason))
    }
  })

  it('reads no more than a little of the answer, whatever its size', { timeout: 20_000 }, async (t) => {
    let sent = 0
    const endless: Answer = (response) => {
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536
      }
      response.on('drain', more)
      more()
    }
    const { url } = await startReceiver(t, endless)
    assert.deepEqual(await send({ url }), { result: 'delivered' })
    assert.ok(sent < 50_000_000, `${sent} bytes`)
    const large = await startReceiver(t, status(200, { 'x-large': 'x'.repeat(20_000) }))
    assert.deepEqual(await send({ url: large.url }), failed('HPE_HEADER_OVERFLOW'))
  })

  it('is broken off when the process ends, before and while it is under way', async (t) => {
    const { url, received } = await startReceiver(t, () => stopping.abort())
    const stopping = new AbortController()
    const webhook = createWebhook({
      target: { url, secrets: [SECRET], allowPrivate: true },
      lookup: nobodyAsks,
      now: () => START_MS,
    })
    assert.deepEqual(await webhook.send(MESSAGE, 1, stopping.signal), failed('stopped'))
    assert.deepEqual(await webhook.send(MESSAGE, 1, stopping.signal), failed('stopped'))
    assert.equal(received.length, 1)
  })

  it('says why nobody could be reached, without naming anybody', async () => {
    const gone = createServer().listen(0, '127.0.0.1')
    await once(gone, 'listening')
    const address = gone.address()
    const port = typeof address === 'object' ? address?.port : 0
    gone.close()
    await once(gone, 'close')
    assert.deepEqual(await send({ url: `http://127.0.0.1:${port}` }), failed('ECONNREFUSED'))
    const unknown: Lookup = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND hooks.example'), { code: 'ENOTFOUND' })
    }
    assert.deepEqual(await send({ url: 'https://hooks.example' }, unknown), failed('ENOTFOUND'))
    assert.deepEqual(await send({ url: 'https://hooks.example' }, async () => []), failed('no_address'))
  })
})

describe('a webhook’s address', () => {
  const addressesOf = (...addresses: string[]): Lookup => {
    return async () => addresses.map((address) => ({ address }))
  }

  it('is never a private one, unless that is allowed', async (t) => {
    const { port, received } = await startReceiver(t)
    const strict = { allowPrivate: false }
    const hosts = ['127.0.0.1', '[::1]', '0x7f.1', '2130706433', '10.0.0.1', '169.254.169.254']
    for (const host of [...hosts, '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]']) {
      assert.deepEqual(await send({ url: `https://${host}:${port}`, ...strict }), refused, host)
    }
    const named = { url: `https://hooks.example:${port}`, ...strict }
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', 'fe80::1%lo', '192.168.0.1', 'fd00::1']) {
      assert.deepEqual(await send(named, addressesOf(address)), refused, address)
    }
    // One that is allowed does not make up for one that is not: each would have its turn.
    assert.deepEqual(await send(named, addressesOf('1.1.1.1', '127.0.0.1')), refused)
    assert.deepEqual(received, [])
  })

  it('is never where clouds keep their secrets, even where private ones are allowed', async () => {
    for (const address of ['169.254.169.254', 'fd00:ec2::254', '100.100.100.200', '::ffff:169.254.169.254']) {
      assert.deepEqual(await send({ url: 'http://hooks.example' }, addressesOf(address)), refused, address)
    }
  })

  it('is no public one without TLS', async () => {
    assert.deepEqual(await send({ url: 'http://hooks.example' }, addressesOf('1.1.1.1')), refused)
  })

  it('is the one that was judged, whatever the name leads to afterwards', async (t) => {
    const { port, received } = await startReceiver(t)
    const answers = [['127.0.0.1'], ['169.254.169.254']]
    let asked = 0
    const rebinding: Lookup = async () => {
      asked += 1
      return (answers.shift() ?? []).map((address) => ({ address }))
    }
    const url = `http://hooks.example:${port}/`
    assert.deepEqual(await send({ url }, rebinding), { result: 'delivered' })
    assert.deepEqual([asked, received[0]?.headers.host], [1, `hooks.example:${port}`])
    assert.deepEqual(await send({ url }, rebinding), refused)
    assert.equal(received.length, 1)
  })

  it('takes turns where there are several', async (t) => {
    const { port, received } = await startReceiver(t)
    const two = addressesOf('127.0.0.2', '127.0.0.1')
    assert.deepEqual(await send({ url: `http://hooks.example:${port}` }, two, 1), failed('ECONNREFUSED'))
    assert.deepEqual(await send({ url: `http://hooks.example:${port}` }, two, 2), { result: 'delivered' })
    assert.equal(received.length, 1)
  })

  it('shows a certificate of the name, by somebody who is trusted', async (t) => {
    const { port, received } = await startReceiver(t, status(204), TLS)
    const loopback = addressesOf('127.0.0.1')
    const url = `https://localhost:${port}`
    assert.deepEqual(await send({ url }, loopback), failed('DEPTH_ZERO_SELF_SIGNED_CERT'))
    trustOurOwn(t)
    assert.deepEqual(await send({ url }, loopback), { result: 'delivered' })
    const other = await send({ url: `https://hooks.example:${port}` }, loopback)
    assert.deepEqual(other, failed('ERR_TLS_CERT_ALTNAME_INVALID'))
    assert.equal(received.length, 1)
  })
})

function trustOurOwn(t: TestContext): void {
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, TLS.cert])
  t.after(() => setDefaultCACertificates(before))
}
