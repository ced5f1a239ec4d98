import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { Concerned, Decision, Judge } from '../../examples/realtime-server/judge.ts'
import { createVerifierJudge } from '../../examples/realtime-server/judge-by-verifier.ts'
import { startRealtimeServer } from '../../examples/realtime-server/server.ts'

const MOST_CHANNELS = 100
const MOST_CONNECTIONS_OF_A_PEER = 20

describe('the example server, in front of a hostile client', () => {
  const answered: [frame: string, code: string][] = [
    ['', 'malformed_message'],
    ['{', 'malformed_message'],
    ['null', 'malformed_message'],
    ['[]', 'malformed_message'],
    ['"subscribe"', 'malformed_message'],
    ['{}', 'malformed_message'],
    ['{"type":7}', 'malformed_message'],
    ['{"type":"welcome","peerId":"root"}', 'unknown_type'],
    ['{"type":"__proto__"}', 'unknown_type'],
    ['{"type":"subscribe"}', 'invalid_channel'],
    ['{"type":"subscribe","channel":""}', 'invalid_channel'],
    ['{"type":"subscribe","channel":{"toString":1}}', 'invalid_channel'],
    ['{"type":"subscribe","channel":"a\\u0000b"}', 'invalid_channel'],
    ['{"type":"subscribe","channel":"\\ud800"}', 'invalid_channel'],
    [JSON.stringify({ type: 'subscribe', channel: 'é'.repeat(129) }), 'invalid_channel'],
    ['{"type":"publish","channel":"room"}', 'missing_data'],
    ['{"type":"send","to":"","data":1}', 'invalid_peer_id'],
    ['{"type":"send","to":["me"],"data":1}', 'invalid_peer_id'],
    ['{"type":"send","to":"nobody","data":1}', 'peer_not_found'],
    ['{"type":"ping","requestId":{}}', ''],
    ['{"type":"publish","channel":"room","data":1,"requestId":7}', 'malformed_message'],
    [`{"type":"publish","channel":"room","data":1,"requestId":"${'x'.repeat(129)}"}`, 'malformed_message'],
  ]
  it('answers every frame that is none with its code, and goes on', async (t) => {
    const { connect } = await start(t)
    const client = await connect()
    for (const [frame, code] of answered) {
      client.socket.send(frame)
      const answer = await client.next()
      assert.deepEqual([answer.type, answer.code ?? ''], [code === '' ? 'pong' : 'error', code], frame)
    }
    client.send({ type: 'subscribe', channel: 'room', requestId: 'r1' })
    assert.deepEqual(await client.next(), { type: 'ack', requestId: 'r1' })
  })

  it('names the request whose frame was wrong, so that the client does not wait for it', async (t) => {
    const { connect } = await start(t)
    const client = await connect()
    client.send({ type: 'subscribe', channel: '', requestId: 'r1' })
    assert.equal((await client.next()).requestId, 'r1')
  })

  const closed: [what: string, data: string | Buffer, code: number][] = [
    ['one that is too large', 'x'.repeat(70_000), 1009],
    ['one that is not text', Buffer.from('{"type":"ping"}'), 1003],
  ]
  for (const [what, data, code] of closed) {
    it(`closes for ${what} with ${code}`, async (t) => {
      const { connect } = await start(t)
      const client = await connect()
      client.socket.send(data)
      assert.equal((await client.end).code, code)
    })
  }

  it('passes the largest message on that it has promised to take', async (t) => {
    const { connect } = await start(t)
    const [one, other] = [await connect(), await connect()]
    other.send({ type: 'subscribe', channel: 'room', requestId: 'r1' })
    await other.next()
    await other.next()
    const data = 'x'.repeat(Number(one.welcome.maxMessageSize) - 2)
    one.send({ type: 'publish', channel: 'room', data, requestId: 'r1' })
    assert.deepEqual(await one.next(), { type: 'ack', requestId: 'r1' })
    assert.equal((await other.next()).data, data)
  })

  it('survives data that is nested as deep as a frame allows', async (t) => {
    const { connect } = await start(t)
    const [one, other] = [await connect(), await connect()]
    other.send({ type: 'subscribe', channel: 'room', requestId: 'r1' })
    await other.next()
    one.socket.send(
      `{"type":"publish","channel":"room","data":${'['.repeat(30_000)}${']'.repeat(30_000)},"requestId":"r"}`,
    )
    // Whether it is passed on or refused, the next one comes in.
    const third = await connect()
    third.send({ type: 'ping' })
    assert.equal((await third.next()).type, 'pong')
  })

  it('closes with 4011 when frames come faster than they are judged', async (t) => {
    const { connect, hold } = await start(t)
    const client = await connect()
    hold()
    for (let count = 0; count < 1_000; count += 1)
      client.send({ type: 'publish', channel: 'room', data: count })
    assert.equal((await client.end).code, 4011)
  })

  it('closes with 4010 when one peer has too many connections, and lets another in', async (t) => {
    const { connect } = await start(t)
    for (let count = 0; count < MOST_CONNECTIONS_OF_A_PEER; count += 1) await connect('alice')
    await assert.rejects(connect('alice'), { code: 4010 })
    await connect('bob')
  })

  it('lets a connection into so many channels and no more, and into those again', async (t) => {
    const { connect } = await start(t)
    const client = await connect()
    const subscribe = async (channel: string) => {
      client.send({ type: 'subscribe', channel, requestId: channel })
      return await client.answerTo(channel)
    }
    for (let count = 0; count < MOST_CHANNELS; count += 1) {
      assert.equal((await subscribe(`room-${count}`)).type, 'ack')
    }
    assert.equal((await subscribe('one-more')).code, 'channel_limit_exceeded')
    assert.equal((await subscribe('room-0')).type, 'ack')
    client.send({ type: 'unsubscribe', channel: 'room-0' })
    assert.equal((await subscribe('one-more')).type, 'ack')
  })

  it('keeps what one publishes in order, however long each is judged', async (t) => {
    const { connect } = await start(t, { jitter: true })
    const [one, other] = [await connect(), await connect()]
    other.send({ type: 'subscribe', channel: 'room', requestId: 'r1' })
    await other.answerTo('r1')
    for (let count = 0; count < 50; count += 1) one.send({ type: 'publish', channel: 'room', data: count })
    const heard: unknown[] = []
    while (heard.length < 50) {
      const frame = await other.next()
      if (frame.type === 'message') heard.push(frame.data)
    }
    assert.deepEqual(heard, [...Array(50).keys()])
  })

  it('leaves nobody in a channel who went away while the question was asked', async (t) => {
    const { connect, hold, release, heldCount, url } = await start(t)
    const [one, other] = [await connect('one'), await connect('other')]
    hold()
    one.send({ type: 'subscribe', channel: 'room' })
    await t.waitFor(() => assert.equal(heldCount(), 1), { interval: 5 })
    one.socket.terminate()
    // Behind an answer to this, the server has seen that end too.
    await fetch(url.replace('ws:', 'http:'))
    release()
    other.send({ type: 'subscribe', channel: 'room', requestId: 'r1' })
    await other.answerTo('r1')
    assert.deepEqual((await other.next()).joined, [{ peerId: 'other' }])
  })

  it('lets nobody in while nothing can be judged: 1013, for another try', async (t) => {
    const { connect, fail } = await start(t)
    const client = await connect()
    fail()
    await assert.rejects(connect(), { code: 1013 })
    client.send({ type: 'publish', channel: 'room', data: 1, requestId: 'r1' })
    assert.equal((await client.next()).code, 'unavailable')
  })

  const paths: [path: string, status: number][] = [
    ['/', 404],
    ['/v2?token=a', 404],
    ['/v1/?token=a', 404],
    ['/v1?token=a&token=b', 404],
    ['/v1?key=a&key=b', 404],
  ]
  for (const [path, status] of paths) {
    it(`answers an upgrade of ${path} with ${status}`, async (t) => {
      const { url } = await start(t)
      const socket = new WebSocket(`${url}${path}`)
      const [error] = await once(socket, 'error')
      assert.match(String(error), new RegExp(`${status}`))
    })
  }

  it('closes for no credential at all with 4001', async (t) => {
    const { url } = await start(t)
    const [code] = await once(new WebSocket(`${url}/v1`), 'close')
    assert.equal(code, 4001)
  })

  it('tells a browser that visits it what it is for', async (t) => {
    const { url } = await start(t)
    const answer = await fetch(url.replace('ws:', 'http:'))
    assert.equal(answer.status, 426)
  })

  it('has judged everybody anew when it says so', async (t) => {
    const { connect, again, hold, release, heldCount } = await start(t)
    await connect()
    hold()
    let ended = false
    const round = again(() => true).then(() => {
      ended = true
    })
    await t.waitFor(() => assert.equal(heldCount(), 1), { interval: 5 })
    assert.equal(ended, false)
    release()
    await round
    assert.equal(ended, true)
  })

  it('ends with 1001 for everyone who is there', async (t) => {
    const { connect, close } = await start(t)
    const client = await connect()
    await close()
    assert.equal((await client.end).code, 1001)
  })
})

describe('the judge that decides by itself', () => {
  it('begins no look at everybody before the one before has ended', async () => {
    const judge = createVerifierJudge({
      // Nobody is there, and nobody has to be.
      jetonUrl: 'http://127.0.0.1:1',
      environmentId: 'env_a',
      verifyKey: 'sk_a',
      now: Date.now,
      lookAtTokensEveryMs: 1,
      log: () => undefined,
    })
    const stopped = new AbortController()
    let running = 0
    let most = 0
    let looks = 0
    await judge.follow(async () => {
      running += 1
      looks += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 20))
      running -= 1
      if (looks >= 5) stopped.abort()
    }, stopped.signal)
    assert.ok(looks >= 5)
    assert.equal(most, 1)
  })
})

/** A server whose judge allows everything: the token is the peer's id. What Jeton decides has tests of its own. */
async function start(t: TestContext, { jitter = false } = {}) {
  let held: PromiseWithResolvers<void> | undefined
  let failing = false
  let asked = 0
  let heldQuestions = 0
  let again: ((concerned: Concerned) => Promise<void>) | undefined
  const judge: Judge = {
    async judge({ token = 'x' }): Promise<Decision> {
      if (failing) throw new Error('Jeton is away')
      heldQuestions += held === undefined ? 0 : 1
      await held?.promise
      asked += 1
      // Some answers overtake others by many turns of the event loop.
      if (jitter) for (let turn = 0; turn < (asked * 7) % 11; turn += 1) await new Promise(setImmediate)
      return { allowed: true, format: 'channels', subject: token, expiresAt: null, claims: {} }
    },
    follow: async (callback) => {
      again = callback
    },
  }
  const options = { judge, host: '127.0.0.1', port: 0, now: Date.now, log: () => undefined }
  const { url, close } = await startRealtimeServer(options)
  let closing: Promise<void> | undefined
  const closeOnce = () => {
    held?.resolve()
    closing ??= close()
    return closing
  }
  t.after(closeOnce)
  return {
    url,
    close: closeOnce,
    connect: (peerId = 'x') => connect(url, peerId),
    /** Has everybody judged anew whom it concerns. */
    again: async (concerned: Concerned) => {
      assert.ok(again)
      await again(concerned)
    },
    /** Leaves every question open from now on. */
    hold: () => {
      held = Promise.withResolvers()
    },
    /** How many questions were asked since. */
    heldCount: () => heldQuestions,
    release: () => {
      held?.resolve()
      held = undefined
    },
    fail: () => {
      failing = true
    },
  }
}

type Frame = Readonly<Record<string, unknown>>

/** A client without manners, once it was welcomed. */
async function connect(url: string, peerId: string) {
  const socket = new WebSocket(`${url}/v1?token=${peerId}`)
  const frames: Frame[] = []
  const waiting: ((frame: Frame) => void)[] = []
  socket.on('error', () => undefined)
  socket.on('message', (data) => {
    const frame: Frame = JSON.parse(String(data))
    const taker = waiting.shift()
    if (taker === undefined) frames.push(frame)
    else taker(frame)
  })
  const end = new Promise<{ code: number }>((resolve) => socket.once('close', (code) => resolve({ code })))
  const welcome = await Promise.race([next(), end.then((how) => Promise.reject(how))])
  return { socket, welcome, end, next, answerTo, send: (frame: Frame) => socket.send(JSON.stringify(frame)) }

  async function next(): Promise<Frame> {
    return frames.shift() ?? (await new Promise((resolve) => waiting.push(resolve)))
  }

  async function answerTo(requestId: string): Promise<Frame> {
    for (;;) {
      const frame = await next()
      if (frame.requestId === requestId) return frame
    }
  }
}
