import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { ADMIN } from '../helpers/admin.ts'
import { readRecords, verifyAll } from '../helpers/journal.ts'
import { withoutOwnPostgres } from '../helpers/postgres.ts'
import { withoutOwnRedis } from '../helpers/redis.ts'
import { inFull } from '../helpers/scale.ts'
import { callAdmin, createFaults, STALE_MS, startCluster, untilKnown } from './replica-cluster.ts'
import { type Call, STEADY, startLoad } from './replica-load.ts'
import {
  type Acknowledged,
  heldUp,
  isExplained,
  judgeLimit,
  judgeSignatures,
  kidOf,
  localStretches,
} from './replica-verdicts.ts'

const ROUNDS = inFull(4, 1)
const PROMISED_MS = 1_000

/** The default, and one whose windows are so short that many of them lie outside every fault. */
const EAGER = { by: 'eager', count: 10, windowMs: 60_000 }
const HASTY = { by: 'hasty', count: 5, windowMs: 4_000 }

const made = z.object({ environment: z.object({ id: z.string() }), keyId: z.string(), secretKey: z.string() })
const newKey = z.object({ key: z.object({ id: z.string() }), secretKey: z.string() })
const rotated = z.object({ signingKeys: z.array(z.object({ kid: z.string() })) })
const page = z.object({
  keys: z.array(z.object({ name: z.string().nullable() })),
  nextCursor: z.string().nullable(),
})

interface Revoked extends Acknowledged {
  readonly name: string
  /** Since when the third replica could not learn of it. */
  readonly cutAt: number | undefined
}

interface Rotation {
  readonly kid: string
  readonly published: Acknowledged
  readonly signs: Acknowledged
}

/** Everything that was kept of a run. */
type Run = Awaited<ReturnType<typeof liveThrough>>

describe('three replicas on one PostgreSQL and Redis', {
  skip: withoutOwnPostgres || withoutOwnRedis,
}, () => {
  it('keep every promise, whichever of them and of their servers fails', {
    timeout: 115_000 * ROUNDS,
  }, async (t) => {
    const run = await liveThrough(t)
    t.diagnostic(`${run.calls.length} calls, ${run.minted.length} tokens`)
    refuseUnexplained(run, t)
    refuseBeyondLimits(run, t)
    refuseAfterRevocation(run)
    await refuseUnverified(run)
    await refuseLost(run, t)
    await refuseUnrecorded(run)
  })
})

/** A load over all three, while everything that can happen to them happens, one thing after another. */
async function liveThrough(t: TestContext) {
  const cluster = await startCluster(t)
  const { replicas, one, two, three } = cluster
  // Whoever knows of the second environment knows of everything before it: the first one's limit too.
  const hasty = await makeHasty(two.url)
  const environment = await callAdmin(made, one.url, ['POST', '/v1/environments', { name: 'Test' }])
  const { id } = environment.environment
  await untilKnown(replicas, environment.secretKey)
  const gateKey = environment.secretKey
  const load = startLoad({ replicas, environmentId: id, adminKey: ADMIN, gateKey, judged: STEADY })
  t.after(load.stop)
  load.add({ name: STEADY, key: environment.secretKey, subject: 'new' })
  load.add({ name: EAGER.by, key: environment.secretKey, subject: 'same' })
  load.add({ name: HASTY.by, key: hasty.secretKey, subject: 'same' })
  const { damage, answered, kill, loseRedis, cutOff, loseDatabase } = createFaults(t, cluster, load.calls)
  const revoked: Revoked[] = []
  const rotations: Rotation[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const [first, second] = [await makeKey(`first-${round}`), await makeKey(`second-${round}`)]
    await answered(replicas, 10)
    await revoke(first, undefined)
    const published = await rotate(two.url, false)
    await kill(two)
    await loseRedis()
    await answered(replicas, 10)
    await cutOff((cutAt) => revoke(second, cutAt))
    await answered(replicas)
    await loseDatabase()
    const signs = await rotate(three.url, true)
    assert.equal(signs.found, published.found)
    rotations.push({ kid: signs.found, published, signs })
    await answered(replicas, 10)
  }
  await load.stop()
  const { calls } = load
  const minted = calls.filter(({ what, status }) => what === 'mint' && status === 200)
  return { replicas, environmentId: id, calls, minted, damage, revoked, rotations }

  async function makeKey(name: string) {
    const path = `/v1/environments/${id}/keys`
    const { key, secretKey } = await callAdmin(newKey, one.url, ['POST', path, { kind: 'secret', name }])
    await untilKnown(replicas, secretKey)
    load.add({ name, key: secretKey, subject: 'new' })
    return { name, id: key.id }
  }

  async function revoke(key: { readonly name: string; readonly id: string }, cutAt: number | undefined) {
    const path = `/v1/keys/${key.id}/revoke`
    const done = await acknowledged(() => callAdmin(z.unknown(), one.url, ['POST', path, {}]))
    revoked.push({ ...done, name: key.name, cutAt })
  }

  // First the successor is published, and much later, as if its time had come, it signs.
  async function rotate(url: string, immediately: boolean) {
    const path = `/v1/environments/${id}/signing-keys/rotate`
    return await acknowledged(async () => {
      const order = ['POST', path, { algorithm: 'EdDSA', immediately }] as const
      const { signingKeys } = await callAdmin(rotated, url, order)
      return signingKeys[0]?.kid ?? ''
    })
  }
}

async function makeHasty(url: string) {
  const hasty = await callAdmin(made, url, ['POST', '/v1/environments', { name: 'Hasty' }])
  const subjectLimit = { count: HASTY.count, windowSeconds: HASTY.windowMs / 1_000 }
  const path = `/v1/environments/${hasty.environment.id}`
  await callAdmin(z.unknown(), url, ['PATCH', path, { settings: { subjectLimit } }])
  return hasty
}

async function acknowledged<T>(work: () => Promise<T>): Promise<Acknowledged & { readonly found: T }> {
  const askedAt = Date.now()
  const found = await work()
  return { askedAt, doneAt: Date.now(), found }
}

/** Every answer is the usual one, or a fault explains it. */
function refuseUnexplained({ calls, damage, revoked }: Run, t: TestContext): void {
  const unusual = calls.filter((call) => !isUsual(call))
  const odd = unusual.filter((call) => !isExplained(call, damage.faults, STALE_MS))
  if (odd.length > 0) t.diagnostic(`${odd.length} answers are put down to a machine that does much else`)
  const wrong = odd.filter((call) => !isExplained(call, heldUp(calls), STALE_MS))
  assert.deepEqual(wrong.map(tell), [])
  for (const fault of damage.faults) {
    const seen = unusual.filter((call) => isExplained(call, [fault], STALE_MS))
    assert.ok(seen.length > 0, `Nobody saw that something was ${fault.what}`)
  }
  const judged = calls.filter(({ what, status }) => what === 'verify' && status === 200)
  assert.ok(judged.length > 100)
  assert.deepEqual(judged.filter(({ answer }) => answer.allowed !== true).map(tell), [])

  function isUsual({ what, by, status, answer }: Call): boolean {
    if (status === 429) return by === EAGER.by || by === HASTY.by
    if (status === 401) return answer.error === 'key_revoked' && revoked.some(({ name }) => name === by)
    return status === (what === 'change' ? 201 : 200)
  }
}

/** Nobody has more than DESIGN 7 allows, and whoever asks often enough has all of it. */
function refuseBeyondLimits({ replicas, calls, minted, damage: { forgot } }: Run, t: TestContext): void {
  const alone = replicas.flatMap(({ lives }) =>
    lives.map(({ server, endedAt }) => localStretches(server.stdout(), endedAt)),
  )
  // Each said so while Redis was away. One that had to wait too long for it may have as well.
  assert.ok(alone.filter((own) => own.length > 0).length >= replicas.length)
  for (const limit of [EAGER, HASTY]) {
    const own = minted.filter(({ by }) => by === limit.by)
    const { most, mostInCalm, beyond } = judgeLimit(own, { ...limit, alone, forgot })
    t.diagnostic(`${limit.by}: of ${limit.count}, at most ${mostInCalm} in a calm window, ${most} in any`)
    assert.deepEqual(beyond, [])
    // A calm window needs a Redis that answers in time, which a machine that does much else may not give.
    assert.ok(most >= limit.count)
    assert.ok(calls.some(({ by, status }) => by === limit.by && status === 429))
  }
}

/** No token later than a second after the revocation, or once a replica that is cut off must know that it is. */
function refuseAfterRevocation({ replicas, calls, revoked }: Run): void {
  for (const { name, askedAt, doneAt, cutAt } of revoked) {
    const own = calls.filter(({ what, by }) => what === 'mint' && by === name)
    for (const replica of replicas) {
      const isCutOff = cutAt !== undefined && replica.name === 'three'
      const until = isCutOff ? Math.max(cutAt + STALE_MS, doneAt + PROMISED_MS) : doneAt + PROMISED_MS
      const here = own.filter((call) => call.replica === replica.name)
      assert.deepEqual(here.filter((call) => call.status === 200 && call.sentAt > until).map(tell), [])
      assert.deepEqual(here.filter((call) => call.status === 401 && call.answeredAt < askedAt).map(tell), [])
      assert.ok(here.some(({ status }) => status === 401))
    }
  }
}

/** Every token is verified by every copy of the JWKS that a verifier may have at that moment. */
async function refuseUnverified({ calls, minted, rotations }: Run): Promise<void> {
  const own = minted.filter(({ by }) => by !== HASTY.by)
  const fetched = calls.filter(({ what, status }) => what === 'jwks' && status === 200)
  assert.deepEqual(await judgeSignatures(own, fetched), [])
  for (const [index, { kid, published, signs }] of rotations.entries()) {
    const knowing = fetched.filter(({ sentAt }) => sentAt > published.doneAt + PROMISED_MS)
    const without = knowing.filter(({ answer: { keys = [] } }) => !keys.some((key) => key.kid === kid))
    assert.deepEqual(without.map(tell), [])
    const early = own.filter((call) => kidOf(call) === kid && call.answeredAt < signs.askedAt)
    assert.deepEqual(early.map(tell), [])
    const until = rotations[index + 1]?.signs.askedAt ?? Number.POSITIVE_INFINITY
    const later = own.filter(
      ({ sentAt, answeredAt }) => sentAt > signs.doneAt + PROMISED_MS && answeredAt < until,
    )
    assert.ok(later.length > 0)
    assert.deepEqual(later.filter((call) => kidOf(call) !== kid).map(tell), [])
  }
}

/** What the admin API said is done is still there. */
async function refuseLost({ replicas, environmentId, calls }: Run, t: TestContext): Promise<void> {
  const done = calls.filter(({ what, status }) => what === 'change' && status === 201)
  t.diagnostic(`${done.length} changes were acknowledged`)
  assert.ok(done.length > 20)
  const kept = await namesOf(replicas[0]?.url ?? '', environmentId)
  assert.deepEqual(done.filter(({ by }) => !kept.has(by)).map(tell), [])
}

async function namesOf(url: string, environmentId: string, after = ''): Promise<Set<string | null>> {
  const path = `/v1/environments/${environmentId}/keys?limit=100${after}`
  const { keys, nextCursor } = await callAdmin(page, url, ['GET', path])
  const names = new Set(keys.map(({ name }) => name))
  return nextCursor === null ? names : names.union(await namesOf(url, environmentId, `&cursor=${nextCursor}`))
}

/** Every token that a client holds is in one of the three journals, and these hold together. */
async function refuseUnrecorded({ replicas, minted }: Run): Promise<void> {
  for (const { lives } of replicas) assert.equal((await lives.at(-1)?.server.stop('SIGINT'))?.code, 0)
  const folders = replicas.map(({ env }) => join(env.DATA_DIR ?? '', 'journal'))
  const recorded = new Set(folders.flatMap((folder) => readRecords(folder).map(({ jti }) => jti)))
  const missing = minted.filter(({ answer }) => !recorded.has(decodeJwt(answer.token ?? '').jti))
  assert.deepEqual(missing.map(tell), [])
  const chains = (await Promise.all(folders.map((folder) => verifyAll(folder)))).flat()
  assert.deepEqual(
    chains.map(({ broken }) => broken),
    replicas.map(() => undefined),
  )
}

function tell({ what, by, replica, sentAt, answeredAt, status, answer }: Call): string {
  const when = new Date(sentAt).toISOString()
  return `${when} ${what} ${by} at ${replica}: ${status} ${answer.error ?? ''} after ${answeredAt - sentAt} ms`
}
