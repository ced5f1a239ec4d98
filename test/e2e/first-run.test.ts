import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type Ending, run, runApart, shared, startServer, temporaryFolder } from '../helpers/process.ts'

const body = JSON.stringify({ userId: 'user-1', name: 'Alice' })

/** The words and their values in what a first run prints. */
function shown(stdout: string) {
  const value = (label: string) => new RegExp(`${label} +(\\S+)`).exec(stdout)?.[1] ?? ''
  return {
    secretKey: value('secret key'),
    publishableKey: value('publishable key'),
    adminKey: value('admin key'),
    curl: /^curl .*$/m.exec(stdout)?.[0] ?? '',
  }
}

/** Waits until one of the servers has shown its first run. */
async function printed(...servers: { stdout(): string }[]): Promise<ReturnType<typeof shown>> {
  for (;;) {
    const done = servers.find((server) => server.stdout().includes('curl '))
    if (done !== undefined) return shown(done.stdout())
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function mint(url: string, key: string) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  return fetch(`${url}/auth/token`, { method: 'POST', headers, body })
}

async function firstRun(t: Ending) {
  const DATA_DIR = join(await temporaryFolder(t), 'data')
  const server = await startServer(t, { DATA_DIR })
  return { DATA_DIR, server, ...(await printed(server)) }
}

const noCurl = await without('curl')

describe('a first run', () => {
  const first = shared(firstRun)

  it('shows an environment, its keys, the admin key and a curl line', async () => {
    const { server, secretKey, publishableKey, adminKey, curl } = first()
    assert.match(secretKey, /^sk_dev_/)
    assert.match(publishableKey, /^pk_dev_/)
    assert.match(adminKey, /^ak_/)
    assert.match(curl, /^curl http:\/\/127\.0\.0\.1:\d+\/auth\/token /)
    // Node's own fetch marks its requests with Sec-Fetch-Mode, and must pass.
    assert.equal((await mint(server.url, secretKey)).status, 200)
  })

  it('shows a curl line that returns a real token when it is pasted', { skip: noCurl }, async () => {
    const { server, curl } = first()
    // The port was chosen by the system; a person would have configured one.
    const line = curl.replace(/http:\/\/127\.0\.0\.1:\d+/, server.url)
    const { stdout } = await promisify(execFile)('sh', ['-c', `${line} -s`])
    assert.equal(JSON.parse(stdout).token.split('.').length, 3)
  })

  it('leaves a folder that is its owner’s alone, and no secret in its files', async () => {
    const { DATA_DIR, server, secretKey, adminKey } = first()
    await mint(server.url, secretKey)
    assert.equal(statSync(DATA_DIR).mode & 0o777, 0o700)
    for (const name of ['master.key', 'jeton.db', 'jeton.db-wal']) {
      assert.equal(statSync(join(DATA_DIR, name)).mode & 0o777, 0o600, name)
    }
    const entries = readdirSync(DATA_DIR, { recursive: true, withFileTypes: true })
    const files = entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
    assert.ok(files.some((name) => name.endsWith('.jsonl')))
    for (const { parentPath, name } of entries)
      assert.equal(statSync(join(parentPath, name)).mode & 0o077, 0, name)
    for (const name of files) {
      const content = readFileSync(name)
      for (const secret of [secretKey, secretKey.slice(10, 40), adminKey]) {
        assert.equal(content.includes(secret), false, name)
      }
    }
  })

  it('shows all of it once', async (t) => {
    const { DATA_DIR, server, secretKey } = first()
    assert.equal((await server.stop('SIGINT')).code, 0)
    const second = await startServer(t, { DATA_DIR })
    assert.equal((await mint(second.url, secretKey)).status, 200)
    const { code, stdout, stderr } = await second.stop('SIGINT')
    assert.equal(code, 0)
    for (const secret of ['sk_', 'ak_', 'pk_']) assert.equal((stdout + stderr).includes(secret), false)
  })

  it('makes one environment when two processes start at once', async (t) => {
    const DATA_DIR = join(await temporaryFolder(t), 'data')
    const servers = await Promise.all([startServer(t, { DATA_DIR }), startServer(t, { DATA_DIR })])
    await printed(...servers)
    const outputs = await Promise.all(servers.map((server) => server.stop('SIGINT')))
    assert.equal(outputs.filter(({ stdout }) => stdout.includes('Development')).length, 1)
    const { stdout } = await run('cli/jeton.ts', ['environments', 'list', '--json'], { DATA_DIR })
    assert.equal(JSON.parse(stdout).environments.length, 1)
  })
})

describe('a start that cannot be', () => {
  const cases: [
    string,
    (folder: string) => Promise<Record<string, string>> | Record<string, string>,
    RegExp,
  ][] = [
    ['a port in use', async () => ({}), /PORT \d+ cannot be used: something else listens there/],
    [
      'a data folder inside a file',
      () => ({ DATA_DIR: '/dev/null/data' }),
      /^DATA_DIR \/dev\/null\/data cannot be used/,
    ],
    [
      'a data folder that cannot be made',
      () => ({ DATA_DIR: '/proc/nothing' }),
      /^DATA_DIR \/proc\/nothing cannot be/,
    ],
    [
      'a faulty configuration',
      () => ({ PORT: 'x', LOG_LEVEL: 'y' }),
      /^The configuration is not valid:\n {2}- PORT/,
    ],
    [
      'no certificate',
      () => ({ TLS_CERT_FILE: '/nowhere', TLS_KEY_FILE: '/nowhere' }),
      /TLS_CERT_FILE cannot be read/,
    ],
    ['production without secrets', () => ({ NODE_ENV: 'production' }), /jeton secrets create/],
  ]
  for (const [what, environment, message] of cases) {
    it(`says in one clear message that there is ${what}`, async (t) => {
      const folder = await temporaryFolder(t)
      const env: Record<string, string> = { DATA_DIR: join(folder, 'data'), ...(await environment(folder)) }
      if (what === 'a port in use') {
        const other = createServer().listen(0, '127.0.0.1')
        t.after(() => other.close())
        await once(other, 'listening')
        env.PORT = `${Object(other.address()).port}`
      }
      const { code, stdout, stderr } = await runApart('main.ts', [], env)
      assert.equal(code, 1)
      assert.match(stderr, message)
      assert.equal(stdout.includes('sk_'), false)
      assert.doesNotMatch(stderr, /\n\s+at /)
    })
  }

  it('changes nothing when the master key is another one or is missing', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    assert.equal((await run('cli/jeton.ts', ['environments', 'create', 'One'], { DATA_DIR })).code, 0)
    const before = readFileSync(join(DATA_DIR, 'jeton.db'))
    const MASTER_KEY = Buffer.alloc(32, 1).toString('base64')
    const wrong = await runApart('main.ts', [], { DATA_DIR, MASTER_KEY })
    assert.match(wrong.stderr, /^MASTER_KEY .* does not open the database/)
    const key = readFileSync(join(DATA_DIR, 'master.key'))
    writeFileSync(join(DATA_DIR, 'master.key'), '')
    const damaged = (await runApart('main.ts', [], { DATA_DIR })).stderr
    assert.match(damaged, /master\.key does not hold 32 bytes/)
    assert.doesNotMatch(damaged, /\n\s+at /)
    await promisify(execFile)('rm', [join(DATA_DIR, 'master.key')])
    assert.match((await runApart('main.ts', [], { DATA_DIR })).stderr, /master key is missing/)
    assert.deepEqual(readFileSync(join(DATA_DIR, 'jeton.db')), before)
    writeFileSync(join(DATA_DIR, 'master.key'), key)
    assert.equal((await run('cli/jeton.ts', ['keys', 'list'], { DATA_DIR })).code, 0)
  })
})

async function without(program: string): Promise<string | false> {
  return promisify(execFile)(program, ['--version']).then(
    () => false,
    () => `${program} is not installed`,
  )
}
