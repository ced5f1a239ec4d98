import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import {
  type Ending,
  run,
  type ServerProcess,
  shared,
  startServer,
  temporaryFolder,
} from '../helpers/process.ts'
import { inFull } from '../helpers/scale.ts'

const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))
const BETWEEN_REQUESTS_MS = 2
const MOST_PENDING = 64
const PROMISED_MS = 1_000

/** Revocations that are timed; with LONG=1 as many as the figures that are told come from. */
const REVOCATIONS = inFull(200, 20)

const made = z.object({ key: z.object({ id: z.string() }), secretKey: z.string() })

async function twoServers(t: Ending) {
  const DATA_DIR = join(await temporaryFolder(t), 'data')
  const env = { DATA_DIR, ADMIN_KEY, RATE_LIMIT_KEY: '1000000/1m' }
  const created = await run('cli/jeton.ts', ['environments', 'create', 'Test', '--json'], env)
  const { environment } = z
    .object({ environment: z.object({ id: z.string() }) })
    .parse(JSON.parse(created.stdout))
  const servers = await Promise.all([startServer(t, env), startServer(t, env)])
  return { env, servers, keysPath: `/v1/environments/${environment.id}/keys` }
}

async function admin({ url }: ServerProcess, path: string, body: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' }
  const reply = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.ok(reply.ok, `${path}: ${reply.status}`)
  return await reply.json()
}

async function mint({ url }: ServerProcess, key: string): Promise<boolean> {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const reply = await fetch(`${url}/v1/client/tokens`, { method: 'POST', headers, body: '{}' })
  await reply.arrayBuffer()
  return reply.ok
}

/**
 * Mints at a steady pace until `enough` says so. Gives the moment at which the last accepted one was sent: the server
 * accepted it then or later, and what its answer waited for on a busy machine is nobody's acceptance.
 */
async function mintSteadily(server: ServerProcess, key: string, enough: (refused: number) => boolean) {
  const pending = new Set<Promise<void>>()
  let lastAcceptedAt = 0
  let refused = 0
  const startedAt = performance.now()
  for (let sent = 0; !enough(refused); ) {
    // A machine that cannot keep the pace gets as many at once as it can answer, and no more.
    const due = (performance.now() - startedAt) / BETWEEN_REQUESTS_MS
    for (; sent < due && pending.size < MOST_PENDING; sent += 1) {
      const sentAt = performance.now()
      const one = mint(server, key).then((accepted) => {
        pending.delete(one)
        if (accepted) lastAcceptedAt = Math.max(lastAcceptedAt, sentAt)
        else refused += 1
      })
      pending.add(one)
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_REQUESTS_MS))
  }
  await Promise.all(pending)
  return lastAcceptedAt
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const from = performance.now()
  while (!(await condition())) assert.ok(performance.now() - from < 5_000, 'it never came')
}

describe('a change in one process', () => {
  // Each test makes keys of its own.
  const both = shared(twoServers)

  it('ends a key in every other one within a second, under 500 requests a second', async (t) => {
    const { servers, keysPath } = both()
    const [here, there] = servers
    const delays: number[] = []
    for (let revocation = 0; revocation < REVOCATIONS; revocation += 1) {
      const { key, secretKey } = made.parse(await admin(here, keysPath, { kind: 'secret' }))
      await until(() => mint(there, secretKey))
      let returnedAt = Number.POSITIVE_INFINITY
      const load = mintSteadily(there, secretKey, (refused) => refused > 0 && performance.now() > returnedAt)
      await admin(here, `/v1/keys/${key.id}/revoke`, {})
      returnedAt = performance.now()
      delays.push(Math.max(0, (await load) - returnedAt))
    }
    delays.sort((a, b) => a - b)
    const worst = delays.at(-1) ?? 0
    t.diagnostic(
      `${REVOCATIONS} revocations: median ${delays[REVOCATIONS / 2]?.toFixed()} ms, worst ${worst.toFixed()} ms`,
    )
    assert.ok(worst <= PROMISED_MS, `${worst} ms`)
  })

  it('ends a key that was never used where it is revoked from afar, within a second too', async () => {
    const { servers, keysPath } = both()
    const [here, there] = servers
    const idle = made.parse(await admin(here, keysPath, { kind: 'secret' }))
    const other = made.parse(await admin(here, keysPath, { kind: 'secret' }))
    await until(() => mint(there, other.secretKey))
    await admin(here, `/v1/keys/${idle.key.id}/revoke`, {})
    const returnedAt = performance.now()
    while (await mint(there, idle.secretKey)) assert.ok(performance.now() - returnedAt < PROMISED_MS)
  })

  it('is known at once to the process that made it, and to the command line’s server within a second', async () => {
    const { servers, env, keysPath } = both()
    const [here, there] = servers
    const { key, secretKey } = made.parse(await admin(here, keysPath, { kind: 'secret' }))
    assert.equal(await mint(here, secretKey), true)
    await until(() => mint(there, secretKey))
    await admin(here, `/v1/keys/${key.id}/revoke`, {})
    assert.equal(await mint(here, secretKey), false)
    const { stdout } = await run('cli/jeton.ts', ['environments', 'create', 'Another', '--json'], env)
    const madeAt = performance.now()
    const another = z.object({ secretKey: z.string() }).parse(JSON.parse(stdout)).secretKey
    for (const server of servers) await until(() => mint(server, another))
    assert.ok(performance.now() - madeAt < PROMISED_MS)
  })
})
