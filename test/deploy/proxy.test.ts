import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Agent, type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { hasHaproxy, startHaproxy } from '../helpers/haproxy.ts'
import { run, startServer, temporaryFolder } from '../helpers/process.ts'

const ca = readFileSync(join(import.meta.dirname, '../fixtures/localhost-cert.pem'))
const skip = !process.env.CI && !hasHaproxy() && 'haproxy is not installed'

/** How many ask at the same time, each over a connection of its own. */
const CALLERS = 8
/** Answers that are waited for, before something happens to a replica and after it. */
const ENOUGH = 200

interface Answer {
  readonly status: number | undefined
  readonly contentType: string | undefined
  readonly retryAfter: string | undefined
  readonly body: string
}

test('the proxy of docker-compose.yml, in front of three replicas', { skip }, async (t) => {
  const DATA_DIR = await temporaryFolder(t)
  const secrets = (await run('cli/jeton.ts', ['secrets', 'create'], {})).stdout
  const env = {
    NODE_ENV: 'production',
    DATA_DIR,
    PUBLIC_URL: 'https://localhost',
    MASTER_KEY: /MASTER_KEY=(.+)/.exec(secrets)?.[1] ?? '',
    ADMIN_KEY: /ADMIN_KEY=(.+)/.exec(secrets)?.[1] ?? '',
    TRUST_PROXY: '127.0.0.1',
    RATE_LIMIT_KEY: '9999999/1m',
  }
  const jeton = async (...args: string[]) =>
    JSON.parse((await run('cli/jeton.ts', [...args, '--json'], env)).stdout)
  const { environment, secretKey } = await jeton('environments', 'create', 'Test')
  const boundKey = async (address: string): Promise<string> => {
    const grant = join(await temporaryFolder(t), 'grant.json')
    await writeFile(grant, JSON.stringify({ addresses: [address] }))
    return (await jeton('keys', 'create', '--environment', environment.id, '--grant', grant)).secretKey
  }
  const [here, elsewhere] = [await boundKey('127.0.0.1'), await boundKey('203.0.113.9')]
  const replicas = await Promise.all([startServer(t, env), startServer(t, env), startServer(t, env)])
  const [first, second, third] = replicas
  const proxy = await startHaproxy(t, [new URL(first.url), new URL(second.url), new URL(third.url)])
  const agent = new Agent({ keepAlive: true, maxSockets: CALLERS })
  t.after(() => agent.destroy())

  async function ask(options: RequestOptions, body: string): Promise<Answer> {
    const call = request({
      host: '127.0.0.1',
      servername: 'localhost',
      port: proxy.port,
      ca,
      agent,
      ...options,
    })
    const [reply] = await once(call.end(body), 'response')
    const { 'content-type': contentType, 'retry-after': retryAfter } = reply.headers
    return { status: reply.statusCode, contentType, retryAfter, body: await text(reply) }
  }

  function mint(key: string, headers: Record<string, string | string[]> = {}, path = '/v1/tokens') {
    const sent = { 'x-api-key': key, 'content-type': 'application/json', ...headers }
    return ask(
      { path, method: 'POST', headers: sent },
      JSON.stringify({ peerId: randomBytes(8).toString('hex') }),
    )
  }

  /** Callers who go on until they are told to stop, and what they were answered: a status, or why there was none. */
  function startCallers() {
    const outcomes: (string | number | undefined)[] = []
    let going = true
    const caller = async () => {
      while (going) {
        outcomes.push(
          await mint(secretKey).then(
            ({ status }) => status,
            ({ code }) => code,
          ),
        )
      }
    }
    const done = Promise.all(Array.from({ length: CALLERS }, caller))
    return {
      async more(): Promise<void> {
        const until = outcomes.length + ENOUGH
        await when(() => outcomes.length >= until)
      },
      async stop(): Promise<readonly (string | number | undefined)[]> {
        going = false
        await done
        return outcomes.filter((outcome) => outcome !== 200)
      },
    }
  }

  const spoofs: [string, Record<string, string | string[]>][] = [
    ['nothing', {}],
    ['an address', { 'x-forwarded-for': '203.0.113.9' }],
    ['two addresses, in two headers', { 'x-forwarded-for': ['203.0.113.9', '203.0.113.9, 127.0.0.1'] }],
    ['plain HTTP', { 'x-forwarded-proto': 'http' }],
    ['RFC 7239', { forwarded: 'for=203.0.113.9;proto=http' }],
    ['another host', { 'x-forwarded-host': 'evil.example' }],
  ]
  for (const [what, headers] of spoofs) {
    await t.test(`tells the caller's address and HTTPS, whatever the caller says: ${what}`, async () => {
      const allowed = await mint(here, headers)
      assert.equal(allowed.status, 200, allowed.body)
      const refused = await mint(elsewhere, headers)
      assert.equal(refused.status, 403)
      assert.equal(JSON.parse(refused.body).message, 'This key may not be used from 127.0.0.1.')
    })
  }

  await t.test('logs no query', async () => {
    assert.equal((await mint(secretKey, {}, '/v1/tokens?token=canary')).status, 200)
    await when(() => / 200 .* POST \/v1\/tokens\n/.test(proxy.log()))
    assert.doesNotMatch(proxy.log(), /canary/)
  })

  await t.test('lets no caller of a replica that ends fail', async () => {
    const callers = startCallers()
    await callers.more()
    const { code } = await first.stop('SIGTERM')
    await callers.more()
    assert.deepEqual(await callers.stop(), [])
    assert.equal(code, 0)
    assert.match(proxy.log(), /Server jeton\/jeton-1 is DOWN/)
  })

  await t.test('takes a killed replica out, and loses no more than what it was answering', async () => {
    const callers = startCallers()
    await callers.more()
    await second.stop('SIGKILL')
    await when(() => proxy.log().includes('Server jeton/jeton-2 is DOWN'))
    const lost = await callers.stop()
    assert.ok(lost.length <= CALLERS, lost.join())
    assert.deepEqual(
      lost.filter((outcome) => outcome !== 502 && outcome !== 'ECONNRESET'),
      [],
    )
    const after = startCallers()
    await after.more()
    assert.deepEqual(await after.stop(), [])
  })

  await t.test('says that no replica is there, in the words of the API', async () => {
    await third.stop('SIGKILL')
    await when(() => proxy.log().includes('Server jeton/jeton-3 is DOWN'))
    const { status, contentType, retryAfter, body } = await mint(secretKey)
    assert.deepEqual([status, contentType, retryAfter], [503, 'application/problem+json', '1'])
    assert.equal(JSON.parse(body).status, 503)
    assert.equal((await fetch(proxy.healthUrl)).status, 503)
  })
})

/** Looks until it is so. The test's own time is the bound. */
async function when(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(5)
}
