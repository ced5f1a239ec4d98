import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { writeKey } from '../../src/domain/api-key.ts'
import { verifyChanges } from '../../src/journal/verify-changes.ts'
import { openTurn } from '../../src/keys/turn.ts'
import { systemSeams } from '../../src/seams.ts'
import { inspect } from '../../src/store/inspect.ts'
import { readSqliteRecords } from '../../src/store/read-records.ts'
import type { ApiKey } from '../../src/store/store.ts'
import { everythingIn, KILLS, mint, useInstallation } from '../helpers/installation.ts'
import { startServer, temporaryFolder } from '../helpers/process.ts'

const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))
const MASTER_KEY = Buffer.from(systemSeams.random(32)).toString('base64')

/** Callers at once, each in environments of its own: as many calls may be under way when the kill comes. */
const CALLERS = 4
const KILL_WITHIN_MS = 400

const newEnvironment = z.object({
  environment: z.object({ id: z.string() }),
  keyId: z.string(),
  secretKey: z.string(),
})
const newKey = z.object({ key: z.object({ id: z.string() }), secretKey: z.string().nullable() })
const newPair = z.object({ keyId: z.string(), secretKey: z.string().nullable() })
const leaked = z.object({ successor: newKey.nullable() })
const anything = z.object({})

type Everything = Awaited<ReturnType<typeof everythingIn>>

/** What a caller was told is done: it holds for good. */
type Promised = (found: Everything) => boolean

/** A creating call with an `Idempotency-Key` that nobody heard the answer of. */
interface Unanswered {
  readonly path: string
  readonly body: object
  readonly idempotencyKey: string
}

describe('an admin call', () => {
  it(`is done whole or not at all when the server is killed (${KILLS} times)`, async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    // Each caller has an address of its own, for the admin API answers none too often.
    const env = { DATA_DIR, ADMIN_KEY, MASTER_KEY, TRUST_PROXY: '127.0.0.1' }
    const promised: Promised[] = []
    let [answered, cutOff, done, secretKey] = [0, 0, 0, '']
    let unanswered: readonly Unanswered[] = []
    for (let kill = 0; kill <= KILLS; kill += 1) {
      const server = await startServer(t, env)
      if (secretKey !== '') assert.equal((await mint(server.url, secretKey)).status, 200)
      for (const call of unanswered) await repeat(server.url, call)
      const known = await useInstallation(env, everythingIn)
      refuseHalves(known)
      if (kill === KILLS) break
      const callers = Array.from({ length: CALLERS }, (_, index) =>
        createCaller(server.url, `${kill}-${index}`, `10.0.0.${index}`),
      )
      const running = callers.map((caller) => caller.run())
      await Promise.all(callers.map(({ begun }) => begun))
      await sleep(Math.random() * KILL_WITHIN_MS)
      await server.stop('SIGKILL')
      await Promise.all(running)

      inspect(join(DATA_DIR, 'jeton.db'))
      const found = await useInstallation(env, async (installation) => {
        const all = await everythingIn(installation)
        for (const one of all.environments) if (one.turn !== undefined) openTurn(one, installation.sealer)
        return all
      })
      for (const caller of callers) {
        promised.push(...caller.promised)
        answered += caller.answered()
        if (caller.isCutOff()) cutOff += 1
      }
      for (const isKept of promised) assert.ok(isKept(found), `after kill ${kill}: ${isKept}`)
      refuseHalves(found)
      await refuseUnrecorded(DATA_DIR, known, found, kill)
      done += found.revision - known.revision
      secretKey = callers.map((caller) => caller.secretKey()).find((key) => key !== undefined) ?? secretKey
      unanswered = callers.flatMap((caller) => caller.unanswered() ?? [])
    }
    // Of the calls that the kill cut off, some were done already. Both ends are wanted here, or nothing was tried.
    t.diagnostic(
      `${answered} calls answered, ${cutOff} cut off, of which ${done - answered} were done, the rest not`,
    )
    assert.ok(answered > 0 && cutOff > 0)
  })
})

/** Calls one thing after another until nobody answers any more. */
function createCaller(url: string, mark: string, address: string) {
  const promised: Promised[] = []
  const started = Promise.withResolvers<void>()
  let under: Unanswered | 'call' | undefined
  let made = 0
  let answered = 0
  let mintsWith: string | undefined
  return {
    promised,
    answered: () => answered,
    begun: started.promise,
    isCutOff: () => under !== undefined,
    unanswered: () => (typeof under === 'object' ? under : undefined),
    /** One that mints, whatever became of the call that was cut off. */
    secretKey: () => mintsWith,
    run,
  }

  async function run(): Promise<void> {
    try {
      for (;;) await liveOnce()
    } catch (error) {
      // What `fetch` throws when the other side is gone. Anything else is a fault of the server, or of this test.
      if (!(error instanceof TypeError)) throw error
    } finally {
      started.resolve()
    }
  }

  // The life of one environment, so that each kind of call comes about as often as any other.
  async function liveOnce(): Promise<void> {
    const name = `${mark}-${made++}`
    const first = await call(newEnvironment, 'POST', '/v1/environments', { name })
    const { id } = first.environment
    mintsWith = first.secretKey
    promised.push(({ environments }) => environments.some((one) => one.id === id))
    started.resolve()

    const [rotated, graced, leaking, ending] = [
      await makeKey(id),
      await makeKey(id),
      await makeKey(id),
      await makeKey(id),
    ]
    await change(id, 1)
    const pair = await call(newPair, 'POST', `/v1/environments/${id}/keys/rotate`, { graceSeconds: 3_600 })
    keyIs(first.keyId, (key) => key.successorId === pair.keyId && key.expiresAt !== undefined)
    await call(anything, 'POST', `/v1/environments/${id}/signing-keys/rotate`, {})
    promised.push(
      ({ signingKeys }) => signingKeys.filter(({ environmentId }) => environmentId === id).length === 4,
    )
    await succeed(rotated, 0)
    await succeed(graced, 3_600)
    const { successor } = await call(leaked, 'POST', `/v1/keys/${leaking}/report-leak`, { action: 'rotate' })
    keyIs(leaking, (key) => key.exposedAt !== undefined && key.successorId === successor?.key.id)
    await limit(ending)
    await call(anything, 'POST', `/v1/keys/${ending}/revoke`, { tokens: true })
    keyIs(ending, (key) => key.revokedAt !== undefined)
    await change(id, 2)
    mintsWith = undefined
    await call(anything, 'POST', `/v1/environments/${id}/archive`, {})
    await call(anything, 'POST', `/v1/environments/${id}/restore`, {})
    await call(anything, 'POST', `/v1/environments/${id}/archive`, {})
    promised.push(({ environments }) =>
      environments.some((one) => one.id === id && one.archivedAt !== undefined),
    )
  }

  async function makeKey(environmentId: string): Promise<string> {
    const name = `${mark}-${made++}`
    const path = `/v1/environments/${environmentId}/keys`
    const { key } = await call(newKey, 'POST', path, { kind: 'secret', name }, `key-${name}`)
    keyIs(key.id, () => true)
    return key.id
  }

  async function succeed(id: string, graceSeconds: number): Promise<void> {
    const { key } = await call(newKey, 'POST', `/v1/keys/${id}/rotate`, { graceSeconds })
    keyIs(id, (old) => old.successorId === key.id)
  }

  // Three things that are kept in three columns, and one of them sealed.
  async function change(id: string, count: number): Promise<void> {
    await call(anything, 'PATCH', `/v1/environments/${id}`, {
      settings: { subjectLimit: { count, windowSeconds: 60 } },
      turn: { urls: [`turn:server-${count}`], secret: 'a secret of a TURN server' },
      signingAlgorithm: count === 1 ? 'EdDSA' : 'HS256',
    })
    promised.push(({ environments }) =>
      environments.some((one) => one.id === id && Number(one.settings.subjectLimit?.count) >= count),
    )
  }

  async function limit(id: string): Promise<void> {
    const expiresAt = 4_000_000_000
    await call(anything, 'PATCH', `/v1/keys/${id}`, { expiresAt, grant: { maxTtlSeconds: 60 } })
    keyIs(id, (key) => key.expiresAt === expiresAt * 1000 && key.grant?.maxTtlSeconds === 60)
  }

  function keyIs(id: string, holds: (key: ApiKey) => boolean): void {
    promised.push(({ apiKeys }) => apiKeys.some((key) => key.id === id && holds(key)))
  }

  async function call<Schema extends z.ZodType>(
    schema: Schema,
    method: string,
    path: string,
    body: object,
    idempotencyKey?: string,
  ): Promise<z.output<Schema>> {
    under = idempotencyKey === undefined ? 'call' : { path, body, idempotencyKey }
    const more = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
    const reply = await send(url, method, path, body, { 'x-forwarded-for': address, ...more })
    const answer = schema.parse(reply)
    under = undefined
    answered += 1
    return answer
  }
}

async function repeat(url: string, { path, body, idempotencyKey }: Unanswered): Promise<void> {
  await send(url, 'POST', path, body, { 'idempotency-key': idempotencyKey })
}

async function send(url: string, method: string, path: string, body: object, more: Record<string, string>) {
  const headers = { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json', ...more }
  const reply = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) })
  assert.ok(reply.ok, `${method} ${path}: ${reply.status}`)
  return await reply.json()
}

/** Fails for a change without its record, or a record without its change. */
async function refuseUnrecorded(dataDir: string, known: Everything, found: Everything, kill: number) {
  const records = await readSqliteRecords(join(dataDir, 'jeton.db'), (error) => error)
  assert.ok(records !== undefined)
  const { broken, head } = await verifyChanges(records, [])
  assert.equal(broken, undefined)
  assert.deepEqual(head, found.recordHead)
  // At the very first start the server looks for an environment while others make them: a change that may change nothing.
  const slack = kill === 0 ? 1 : 0
  const [changes, recorded] = [
    found.revision - known.revision,
    (found.recordHead?.n ?? 0) - (known.recordHead?.n ?? 0),
  ]
  assert.ok(recorded <= changes && recorded >= changes - slack, `${recorded} records of ${changes} changes`)
}

/** Fails for anything that only half of a call would leave. */
function refuseHalves({ environments, apiKeys, signingKeys, revocations }: Everything): void {
  for (const { id, createdAt, settings, turn, signingAlgorithm } of environments) {
    const keys = apiKeys.filter((key) => key.environmentId === id)
    const first = keys.filter((key) => key.name === undefined && !isSuccessor(key, keys))
    assert.deepEqual(first.map(({ kind }) => kind).toSorted(), ['publishable', 'secret'])
    assert.ok(first.every((key) => key.createdAt === createdAt))
    const [one, other] = first.map((key) => key.successorId === undefined)
    assert.equal(one, other, 'one key of a pair was rotated without the other')
    refuseHalfRotation(signingKeys.filter((key) => key.environmentId === id))
    const count = settings.subjectLimit?.count
    assert.deepEqual(turn?.urls, count === undefined ? undefined : [`turn:server-${count}`])
    assert.equal(signingAlgorithm, count === undefined ? undefined : count === 1 ? 'EdDSA' : 'HS256')
    for (const key of keys) refuseHalfOfKey(key, keys)
  }
  // Those that were limited are the ones that are revoked together with their tokens.
  const ended = apiKeys.filter(({ grant, revokedAt }) => grant !== undefined && revokedAt !== undefined)
  assert.deepEqual(revocations.map(({ value }) => value).toSorted(), ended.map(({ id }) => id).toSorted())
}

// Both algorithms are rotated together: a successor for each, and an end for each that it succeeds.
function refuseHalfRotation(keys: Everything['signingKeys']): void {
  const successors = keys.filter(({ createdAt, signsFrom }) => signsFrom > createdAt)
  for (const algorithm of ['EdDSA', 'HS256']) {
    const own = keys.filter((key) => key.algorithm === algorithm)
    assert.equal(own.length, successors.length === 0 ? 1 : 2)
    const [successor] = successors.filter((key) => key.algorithm === algorithm)
    for (const key of own) {
      if (key !== successor) assert.equal(key.signsUntil, successor?.signsFrom, 'half of a rotation')
    }
  }
}

function refuseHalfOfKey(key: ApiKey, keys: readonly ApiKey[]): void {
  const isEnding = key.revokedAt !== undefined || key.expiresAt !== undefined
  if (key.successorId !== undefined) {
    assert.ok(isEnding, 'a key was rotated and did not end')
    assert.ok(
      keys.some(({ id, kind }) => id === key.successorId && kind === key.kind),
      'a successor is missing',
    )
  }
  if (key.exposedAt !== undefined) assert.ok(isEnding, 'a leaked key lives')
  assert.equal(key.grant === undefined, key.expiresAt !== 4_000_000_000_000, 'half of an update')
  const namesakes = keys.filter((other) => other.name === key.name && key.name !== undefined)
  const beginnings = namesakes.filter((other) => !isSuccessor(other, keys))
  assert.ok(namesakes.length === 0 || beginnings.length === 1, 'a successor without a key that it succeeds')
}

function isSuccessor({ id }: ApiKey, keys: readonly ApiKey[]): boolean {
  return keys.some(({ successorId }) => successorId === id)
}
