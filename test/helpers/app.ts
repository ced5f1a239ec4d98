import { Writable } from 'node:stream'
import { after, before } from 'node:test'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { createActors } from '../../src/actors.ts'
import type { Alerts } from '../../src/alerts/open-alerts.ts'
import { startServices } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import type { Grant } from '../../src/domain/grant.ts'
import type { Gate } from '../../src/gate/gate.ts'
import type { Revocations } from '../../src/gate/revocations.ts'
import type { Revoke } from '../../src/gate/revoke.ts'
import { type App, buildApp } from '../../src/http/app.ts'
import { openDataKey } from '../../src/keys/data-key.ts'
import { createEnvironments, type Environments } from '../../src/keys/environments.ts'
import type { Follower } from '../../src/keys/follower.ts'
import { createKeyLives, type KeyLives } from '../../src/keys/key-lives.ts'
import type { Keyring } from '../../src/keys/keyring.ts'
import type { LastUses } from '../../src/keys/last-uses.ts'
import type { NewEnvironment } from '../../src/keys/new-environment.ts'
import type { Sealer } from '../../src/keys/sealing.ts'
import { createSigningKeyExport } from '../../src/keys/signing-key-export.ts'
import { createSigningKeyRotation, type SigningKeyRotation } from '../../src/keys/signing-key-rotation.ts'
import { createLog } from '../../src/log.ts'
import { createLogLevels } from '../../src/log-level.ts'
import type { Mint } from '../../src/mint/mint.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import type { Store } from '../../src/store/store.ts'
import type { Usage } from '../../src/usage/usage.ts'
import { type DrivenSeams, drivenSeams } from './seams.ts'

/** A whole service over a database of its own in memory, ready for `inject`, on a driven clock. */
export interface TestService {
  readonly app: App
  readonly server: FastifyInstance
  readonly store: Store
  readonly follower: Follower
  readonly keyring: Keyring
  readonly lastUses: LastUses
  readonly usage: Usage
  readonly alerts: Alerts
  readonly sealer: Sealer
  readonly mint: Mint
  readonly gate: Gate
  readonly revocations: Revocations
  readonly revoke: Revoke
  readonly seams: DrivenSeams
  /** One environment, with its keys in the clear. */
  readonly made: NewEnvironment
  /** The log so far, line by line. */
  readonly lines: readonly Record<string, unknown>[]
  /** The journal so far, record by record. */
  readonly records: readonly Record<string, unknown>[]
  readonly environments: Environments
  readonly keyLives: KeyLives
  readonly signingKeyRotation: SigningKeyRotation
  /** Makes a secret key with a grant, and gives the header that carries it. */
  keyWith(grant: Grant): Promise<{ authorization: string }>
  /** POST with JSON and, unless told otherwise, the environment's secret key. */
  post(url: string, body: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>
}

/** One service for all the cases of a table, none of which changes anything that another one would notice. */
export function buildOnce(env: Record<string, string> = {}): () => TestService {
  let service: TestService | undefined
  const closing: (() => unknown)[] = []
  before(async () => {
    service = await build({ after: (close) => closing.push(close) }, env)
  })
  after(async () => {
    for (const close of closing) await close()
  })
  return () => {
    if (service === undefined) throw new Error('The service is there once the tests run')
    return service
  }
}

/**
 * One service for many cases, each in an environment of its own: nothing of the others' is in that. What moves the
 * clock, or looks at the log, the journal or every environment, needs `build`.
 */
export function buildShared(env: Record<string, string> = {}): () => Promise<TestService> {
  const once = buildOnce({ RATE_LIMIT_AUTH_FAILURES: '1000000/1m', ...env })
  let cases = 0
  return async () => {
    const service = once()
    cases += 1
    const made = await service.environments.create(`Case ${cases}`)
    await service.follower.refresh()
    return { ...service, made, ...callsWith({ ...service, made }) }
  }
}

/**
 * Builds the service with these environment variables and closes it when the test ends.
 *
 * @param database a file, for a test that looks into it
 */
export async function build(
  t: { after(close: () => unknown): unknown },
  env: Record<string, string> = {},
  database = ':memory:',
): Promise<TestService> {
  const seams = drivenSeams()
  // The driven clock leaps ahead of the real timer by which the keyring follows the store.
  const config = readConfig(
    { LOG_LEVEL: 'debug', STALE_KEYS_SECONDS: '3600', JOURNAL: 'stdout', ...env },
    seams.now(),
  )
  const lines: Record<string, unknown>[] = []
  const records: Record<string, unknown>[] = []
  const stream = { write: (line: string) => records.push(JSON.parse(line)), isStalled: () => false }
  const log = createLog(config.logLevel, collect(lines))
  const logLevels = createLogLevels(log, config.logLevel)
  const actors = createActors({ by: 'server' })
  const store = openSqlite(database, { witness: { now: seams.now, actor: actors.current } })
  const sealer = await openDataKey(store, [seams.random(32)], seams)
  const environments = createEnvironments({ store, sealer, seams })
  const made = await environments.create('Test')
  const keyLives = createKeyLives({ store, sealer, seams })
  const { staleKeysSeconds } = config
  const signingKeyRotation = createSigningKeyRotation({ store, sealer, seams, staleKeysSeconds })
  const close = () => store.close()
  const signingKeyExport = createSigningKeyExport({ store, sealer, seams })
  const installation = {
    store,
    sealer,
    environments,
    keyLives,
    signingKeyRotation,
    signingKeyExport,
    actors,
    close,
  }
  const services = await startServices(config, installation, seams, log, stream)
  const app = await buildApp({ config, log, ...services, logLevels, installation, now: seams.now })
  t.after(async () => {
    await app.server.close()
    await services.stop()
    await store.close()
  })
  return {
    app,
    server: app.server,
    store,
    environments,
    keyLives,
    signingKeyRotation,
    follower: services.follower,
    keyring: services.keyring,
    lastUses: services.lastUses,
    usage: services.usage,
    alerts: services.alerts,
    sealer,
    mint: services.mint,
    gate: services.gate,
    revocations: services.revocations,
    revoke: services.revoke,
    seams,
    made,
    lines,
    records,
    ...callsWith({ made, server: app.server, keyLives, follower: services.follower }),
  }
}

function callsWith({
  made,
  server,
  keyLives,
  follower,
}: Pick<TestService, 'made' | 'server' | 'keyLives' | 'follower'>): Pick<TestService, 'post' | 'keyWith'> {
  return { post, keyWith }

  async function keyWith(grant: Grant) {
    const { text } = await keyLives.create(made.environment.id, { kind: 'secret', grant })
    await follower.refresh()
    return { authorization: `Bearer ${text}` }
  }

  async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
    return await server.inject({
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/json',
        ...('authorization' in headers || 'x-api-key' in headers
          ? {}
          : { authorization: `Bearer ${made.secretKey}` }),
        ...headers,
      },
      payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    })
  }
}

function collect(lines: Record<string, unknown>[]): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) lines.push(JSON.parse(line))
      done()
    },
  })
}
