import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { LightMyRequestResponse } from 'fastify'
import { z } from 'zod'
import { build, type TestService } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { mintToken } from '../helpers/tokens.ts'

const LIFE_SECONDS = 86_410

function get({ server, made }: TestService, query = '', headers: Record<string, string> = {}) {
  const authorization = `Bearer ${made.secretKey}`
  return server.inject({ url: `/v1/revocations${query}`, headers: { authorization, ...headers } })
}

const feed = z.object({
  version: z.int(),
  snapshot: z.boolean(),
  archived: z.literal(true).optional(),
  entries: z.array(z.object({ jti: z.string().optional(), subject: z.string().optional() })),
})

const read = async (reply: Response) => feed.parse(await reply.json())

/** What a feed tells, besides whose it is. */
function toldBy({ made }: TestService, reply: LightMyRequestResponse) {
  const { environmentId, ...told } = reply.json()
  assert.equal(environmentId, made.environment.id)
  return told
}

const revoke = ({ revoke, made }: TestService, subject: string, environmentId = made.environment.id) =>
  revoke.revoke(environmentId, { subject })

const nowOf = ({ seams }: TestService) => Math.floor(seams.now() / 1000)

/** Turns of the event loop until something is so. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'it never came')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** How many readers wait, and have waited, for something new. */
function watchWaiting(t: TestContext, { revocations }: TestService) {
  const { mock } = t.mock.method(revocations, 'next')
  return { count: () => mock.callCount(), ended: () => Promise.all(mock.calls.map(({ result }) => result)) }
}

describe('GET /v1/revocations', () => {
  it('gives all entries to who knows nothing, and then what came since', async (t) => {
    const service = await build(t)
    assert.deepEqual(toldBy(service, await get(service)), { version: 0, snapshot: true, entries: [] })
    const now = nowOf(service)
    const { made } = service
    const first = await service.revoke.revoke(made.environment.id, { jti: 'one' })
    await revoke(service, 'alice')
    const last = await service.revoke.revoke(made.environment.id, { keyId: made.keyId, before: now - 5 })
    const entries = [
      { jti: 'one', until: now + LIFE_SECONDS + 10 },
      { subject: 'alice', before: now, until: now + LIFE_SECONDS },
      { keyId: made.keyId, before: now - 5, until: now - 5 + LIFE_SECONDS },
    ]
    const all = await get(service)
    assert.match(String(all.headers['content-type']), /^application\/json/)
    assert.equal(all.headers['cache-control'], 'private, no-cache')
    assert.deepEqual(toldBy(service, all), { version: last, snapshot: true, entries })
    const since = await get(service, `?since=${first}`)
    assert.deepEqual(toldBy(service, since), { version: last, snapshot: false, entries: entries.slice(1) })
    const known = await get(service, `?since=${last}`)
    assert.deepEqual(toldBy(service, known), { version: last, snapshot: false, entries: [] })
  })

  it('gives a snapshot to who knows of a version that this process has not seen', async (t) => {
    const service = await build(t)
    const version = await revoke(service, 'alice')
    const { entries, ...rest } = toldBy(service, await get(service, `?since=${version + 7}`))
    assert.deepEqual(rest, { version, snapshot: true })
    assert.equal(entries.length, 1)
  })

  it('tells once of a revocation that was repeated, and of its latest moment', async (t) => {
    const service = await build(t)
    await revoke(service, 'alice')
    service.seams.advance(5_000)
    await service.follower.refresh()
    const version = await revoke(service, 'alice')
    const { entries } = toldBy(service, await get(service))
    const now = nowOf(service)
    assert.deepEqual(entries, [{ subject: 'alice', before: now, until: now + LIFE_SECONDS }])
    assert.deepEqual((await get(service, `?since=${version - 1}`)).json().entries, entries)
  })

  it('says nothing of another environment', async (t) => {
    const service = await build(t)
    const { environment } = await service.environments.create('Another')
    await revoke(service, 'alice', environment.id)
    assert.deepEqual(toldBy(service, await get(service)), { version: 0, snapshot: true, entries: [] })
  })

  it('leaves out what is over, to the second, and keeps its version', async (t) => {
    const service = await build(t)
    const version = await revoke(service, 'alice')
    service.seams.advance(LIFE_SECONDS * 1000 - 1)
    await service.follower.refresh()
    assert.equal((await get(service)).json().entries.length, 1)
    service.seams.advance(1)
    await service.follower.refresh()
    assert.deepEqual(toldBy(service, await get(service)), { version, snapshot: true, entries: [] })
  })

  it('says so while the environment is archived', async (t) => {
    const service = await build(t)
    const archive = async (archived: boolean) => {
      await service.environments.update(service.made.environment.id, { archived })
      await service.follower.refresh()
    }
    await archive(true)
    const reply = await get(service)
    assert.deepEqual(toldBy(service, reply), { version: 0, snapshot: true, archived: true, entries: [] })
    await archive(false)
    const restored = await get(service)
    assert.equal('archived' in restored.json(), false)
    assert.notEqual(reply.headers.etag, restored.headers.etag)
  })

  it('answers 304 to who has this version already, whatever else the header holds', async (t) => {
    const service = await build(t)
    await revoke(service, 'alice')
    const { headers } = await get(service)
    const etag = String(headers.etag)
    for (const held of [etag, etag.replace('W/', ''), `"x", ${etag}`, '*']) {
      const reply = await get(service, '', { 'if-none-match': held })
      assert.deepEqual([reply.statusCode, reply.body, reply.headers.etag], [304, '', etag])
    }
    assert.equal((await get(service, '', { 'if-none-match': '"x"' })).statusCode, 200)
    await revoke(service, 'bob')
    assert.equal((await get(service, '', { 'if-none-match': etag })).statusCode, 200)
  })

  const bad: [string, string][] = [
    ['?since=-1', 'since'],
    ['?since=x', 'since'],
    ['?since=1.5', 'since'],
    ['?since=', 'since'],
    ['?since=9999999999999999', 'since'],
    ['?since=1&since=2', 'since'],
    ['?wait=31', 'wait'],
    ['?wait=-1', 'wait'],
    ['?wait=x', 'wait'],
    ['?limit=1', 'limit'],
  ]
  for (const [query, path] of bad) {
    it(`refuses ${query} with its name`, async (t) => {
      const reply = await get(await build(t), query)
      assert.equal(reply.statusCode, 400)
      assert.equal(reply.json().issues[0].path, path)
    })
  }

  it('is for secret keys that may verify', async (t) => {
    const service = await build(t)
    for (const uses of [['mint'], ['revoke'], ['mint', 'revoke']] as const) {
      const reply = await get(service, '', await service.keyWith({ uses }))
      assert.deepEqual([reply.statusCode, reply.json().error], [403, 'beyond_grant'])
    }
    const { publishableKey } = service.made
    assert.equal((await get(service, '', { authorization: `Bearer ${publishableKey}` })).statusCode, 403)
    assert.equal((await get(service, '', { authorization: '' })).statusCode, 401)
  })
})

describe('a long poll', () => {
  /** A service on a real socket, with a reader that waits for something new. */
  async function listening(t: TestContext) {
    const service = await build(t)
    const url = await service.server.listen({ host: '127.0.0.1', port: 0 })
    const headers = { authorization: `Bearer ${service.made.secretKey}` }
    const waiting = watchWaiting(t, service)
    const poll = (query: string, more: Record<string, string> = {}) =>
      fetch(`${url}/v1/revocations?${query}`, { headers: { ...headers, ...more } })
    return { service, url, waiting, poll }
  }

  it('is answered when something is revoked in its environment, and not by another one', async (t) => {
    const { service, waiting, poll } = await listening(t)
    const another = await service.environments.create('Another')
    await service.follower.refresh()
    let answered = false
    const reply = poll('since=0&wait=30').finally(() => {
      answered = true
    })
    await until(() => waiting.count() === 1)
    await revoke(service, 'alice', another.environment.id)
    await (await poll('since=1')).arrayBuffer()
    assert.equal(answered, false)
    const version = await revoke(service, 'alice')
    const { entries, ...rest } = await read(await reply)
    assert.deepEqual(rest, { version, snapshot: true })
    assert.equal(entries[0]?.subject, 'alice')
  })

  it('is answered when its environment is archived', async (t) => {
    const { service, waiting, poll } = await listening(t)
    const reply = poll('wait=30')
    await until(() => waiting.count() === 1)
    await service.environments.update(service.made.environment.id, { archived: true })
    await service.follower.refresh()
    assert.equal((await read(await reply)).archived, true)
  })

  it('is answered at once where there is something new already, by either way to say what is known', async (t) => {
    const { service, waiting, poll } = await listening(t)
    const version = await revoke(service, 'alice')
    assert.equal((await read(await poll(`since=${version - 1}&wait=30`))).entries.length, 1)
    const stale = await poll(`since=${version}&wait=30`, { 'if-none-match': '"x"' })
    assert.equal((await read(stale)).version, version)
    // A process that has not seen this version yet says what it knows, instead of waiting for what it lacks.
    assert.equal((await read(await poll(`since=${version + 1}&wait=30`))).snapshot, true)
    assert.equal(waiting.count(), 0)
  })

  it('ends when its time is over, with 304 or with nothing new', async (t) => {
    const { service, waiting, poll } = await listening(t)
    const version = await revoke(service, 'alice')
    const etag = String((await poll('')).headers.get('etag'))
    // The collector must not take the timer of who waits with it.
    setFlagsFromString('--expose-gc')
    const collectGarbage: () => void = runInNewContext('gc')
    const replies = [
      poll(`since=${version}&wait=1`),
      poll('wait=1', { 'if-none-match': etag }),
      poll('wait=1&since=0', { 'if-none-match': etag }),
    ]
    await until(() => waiting.count() === 3)
    for (let time = 0; time < 5; time += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      collectGarbage()
    }
    const [plain, ...tagged] = await Promise.all(replies)
    assert.ok(plain)
    assert.deepEqual(await read(plain), { version, snapshot: false, entries: [] })
    assert.deepEqual(
      tagged.map(({ status }) => status),
      [304, 304],
    )
    await waiting.ended()
  })

  it('ends when the reader goes, and leaves nothing behind', async (t) => {
    const { service, url, waiting } = await listening(t)
    const { port, hostname } = new URL(url)
    const lines = [
      'GET /v1/revocations?wait=30 HTTP/1.1',
      `Host: ${hostname}`,
      `Authorization: Bearer ${service.made.secretKey}`,
    ]
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(Number(port), hostname)
        await once(socket, 'connect')
        socket.write(`${lines.join('\r\n')}\r\n\r\n`)
        return socket
      }),
    )
    await until(() => waiting.count() === sockets.length)
    for (const socket of sockets) socket.destroy()
    await waiting.ended()
    await revoke(service, 'alice')
  })

  it('ends when the process begins to shut down, so that nobody waits for a reader', async (t) => {
    const { service, waiting, poll } = await listening(t)
    const reply = poll('wait=30')
    await until(() => waiting.count() === 1)
    service.app.drain()
    const { status, headers } = await reply
    assert.deepEqual([status, headers.get('connection')], [200, 'close'])
    // Who comes while it shuts down does not wait either.
    assert.equal((await poll('wait=30')).status, 200)
    await waiting.ended()
  })
})

describe('a feed of 100,000 entries', () => {
  const ENTRIES = 100_000

  it('is whole, and leaves the event loop free while it is sent', async (t) => {
    const path = join(await temporaryFolder(t), 'jeton.db')
    const service = await build(t, {}, path)
    const until = nowOf(service) + LIFE_SECONDS
    const db = new DatabaseSync(path)
    db.prepare(`
      with recursive number(n) as (select 1 union all select n + 1 from number where n < ${ENTRIES})
      insert into revocation (environment_id, kind, value, until, revision)
      select ?, 'jti', format('%022d', n), ?, n + (select value from revision) from number`).run(
      service.made.environment.id,
      until,
    )
    db.exec('update revision set value = (select max(revision) from revocation)')
    db.close()
    await service.follower.refresh()
    const url = await service.server.listen({ host: '127.0.0.1', port: 0 })
    const headers = { authorization: `Bearer ${service.made.secretKey}` }
    const token = await mintToken(service, 'channels')
    const body = JSON.stringify({ token })
    const verify = () =>
      fetch(`${url}/v1/verify`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      }).then((reply) => reply.text())

    let isSending = true
    const sent = fetch(`${url}/v1/revocations`, { headers })
      .then(read)
      .finally(() => {
        isSending = false
      })
    let answered = 0
    let turns = 0
    const turn = () => {
      turns += 1
      if (isSending) setImmediate(turn)
    }
    setImmediate(turn)
    while (isSending) {
      assert.match(await verify(), /^\{"allowed":true/)
      answered += 1
    }
    const { entries } = await sent
    assert.equal(entries.length, ENTRIES)
    assert.equal(new Set(entries.map(({ jti }) => jti)).size, ENTRIES)
    t.diagnostic(`${answered} answers and ${turns} turns of the event loop meanwhile`)
    assert.ok(answered >= 5, `${answered} answers`)
    assert.ok(turns >= 100, `${turns} turns`)
  })
})
