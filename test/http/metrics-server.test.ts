import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { openMetricsServer } from '../../src/http/metrics-server.ts'
import { drivenSeams } from '../helpers/seams.ts'

async function open(t: TestContext, port = 0) {
  const { monotonic, advance } = drivenSeams()
  let made = 0
  const metrics = {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    async text() {
      made += 1
      return `made ${made}\n`
    },
  }
  const server = await openMetricsServer({ metrics, host: '127.0.0.1', port, monotonic })
  let isOpen = true
  const close = async () => {
    if (isOpen) await server.close()
    isOpen = false
  }
  t.after(close)
  return { url: server.url, advance, close }
}

describe('the port of the metrics', () => {
  it('tells them without a key, and nothing else', async (t) => {
    const { url } = await open(t)
    const reply = await fetch(url)
    assert.deepEqual([reply.status, await reply.text()], [200, 'made 1\n'])
    assert.equal(reply.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    assert.equal(reply.headers.get('cache-control'), 'no-store')
    const head = await fetch(url, { method: 'HEAD' })
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '7'])
    for (const [method, path] of [
      ['POST', '/metrics'],
      ['GET', '/'],
      ['GET', '/metrics/'],
      ['GET', '/readyz'],
      ['GET', '/v1/environments'],
    ] as const) {
      const other = await fetch(new URL(path, url), { method })
      assert.deepEqual([other.status, await other.text()], [404, ''], `${method} ${path}`)
    }
  })

  it('makes them once a second at most, whoever asks how often', async (t) => {
    const { url, advance } = await open(t)
    const ask = async () => await (await fetch(`${url}?x`)).text()
    assert.deepEqual(await Promise.all([ask(), ask(), ask()]), ['made 1\n', 'made 1\n', 'made 1\n'])
    advance(999)
    assert.equal(await ask(), 'made 1\n')
    advance(1)
    assert.equal(await ask(), 'made 2\n')
  })

  it('refuses a port that is taken, and ends at once with a connection on it', async (t) => {
    const { url, close } = await open(t)
    const port = Number(new URL(url).port)
    await assert.rejects(open(t, port), { code: 'EADDRINUSE' })
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const closed = once(socket, 'close')
    socket.on('error', () => undefined)
    await fetch(url)
    await close()
    await closed
  })
})
