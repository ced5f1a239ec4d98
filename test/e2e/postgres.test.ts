import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { mint } from '../helpers/installation.ts'
import { usePostgres, withoutPostgres } from '../helpers/postgres.ts'
import { run, runApart, type ServerProcess, startServer, temporaryFolder } from '../helpers/process.ts'

const PROMISED_MS = 1_000
const MASTER_KEY = Buffer.alloc(32, 1).toString('base64')
const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))
const postgres = usePostgres()

/** Two servers that start at the same moment on a database that has nothing yet, each with a folder of its own. */
async function twoServers(t: TestContext) {
  const DATABASE_URL = await postgres.schema()
  const shared = { DATABASE_URL, MASTER_KEY, ADMIN_KEY, RATE_LIMIT_SUBJECT: '100000/1m' }
  const envs = await Promise.all([1, 2].map(async () => ({ ...shared, DATA_DIR: await temporaryFolder(t) })))
  const servers = await Promise.all(envs.map((env) => startServer(t, env)))
  const [one, two] = servers
  const [env, otherEnv] = envs
  if (one === undefined || two === undefined || env === undefined || otherEnv === undefined) assert.fail()
  return { DATABASE_URL, one, two, env, otherEnv }
}

function firstKeyOf(...servers: readonly ServerProcess[]): string {
  const keys = servers.flatMap((server) => server.stdout().match(/secret key +(sk_\S+)/)?.[1] ?? [])
  assert.equal(keys.length, 1)
  return keys[0] ?? ''
}

async function whenShown(server: ServerProcess, other: ServerProcess): Promise<string> {
  const until = performance.now() + 5_000
  while (!/secret key/.test(server.stdout() + other.stdout()) && performance.now() < until) await pause(10)
  return firstKeyOf(server, other)
}

describe('servers on one PostgreSQL', { skip: withoutPostgres }, () => {
  it('begin with one environment, and learn within a second of what the command line changed', async (t) => {
    const { one, two, otherEnv } = await twoServers(t)
    const key = await whenShown(one, two)
    const minted = async () => await Promise.all([one, two].map(({ url }) => mint(url, key)))
    const until = performance.now() + PROMISED_MS
    while ((await minted()).some(({ status }) => status !== 200)) {
      assert.ok(performance.now() < until, 'The key does not work everywhere')
      await pause(10)
    }
    const listed = await run('cli/jeton.ts', ['keys', 'list', '--json'], otherEnv)
    const id = /"id":"(kid_\w+)","environmentId":"\w+","kind":"secret"/.exec(listed.stdout)?.[1]
    assert.ok(id, listed.stdout)
    const revoked = await run('cli/jeton.ts', ['keys', 'revoke', id, '--yes'], otherEnv)
    assert.equal(revoked.code, 0, revoked.stderr)
    const endedAt = performance.now()
    while ((await minted()).some(({ error }) => error !== 'key_revoked')) {
      assert.ok(performance.now() < endedAt + PROMISED_MS, 'The key goes on')
      await pause(10)
    }
    for (const server of [one, two]) assert.deepEqual((await server.stop()).code, 0)
  })

  it('end with one line and no password when the database cannot be used', async (t) => {
    const DATABASE_URL = (await postgres.schema()).replace(/\/\/[^@]*@/, '//jeton:hunter2@')
    const ended = await runApart('main.ts', [], {
      DATABASE_URL,
      DATA_DIR: await temporaryFolder(t),
      PORT: '0',
    })
    assert.equal(ended.code, 1)
    assert.match(ended.stderr, /^The database .* cannot be used: .*\n$/)
    assert.doesNotMatch(ended.stderr + ended.stdout, /hunter2/)
  })

  it('need one master key: a folder with another one, or with none, is told so', async (t) => {
    const DATABASE_URL = await postgres.schema()
    const start = async (env: Record<string, string>) =>
      await runApart('cli/jeton.ts', ['environments', 'create', 'One'], {
        DATABASE_URL,
        DATA_DIR: await temporaryFolder(t),
        ...env,
      })
    assert.equal((await start({ MASTER_KEY })).code, 0)
    const missing = await start({})
    assert.match(
      missing.stderr,
      /DATABASE_URL names is sealed, and its master key is missing: set MASTER_KEY/,
    )
    const other = await start({ MASTER_KEY: Buffer.alloc(32, 2).toString('base64') })
    assert.match(other.stderr, /does not open the database that DATABASE_URL names/)
    assert.deepEqual([missing.code, other.code], [1, 1])
  })
})
