import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { BlockList } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, describe, it, type TestContext } from 'node:test'
import { z } from 'zod'
import { checkConfig, environmentVariables } from '../../src/config.ts'
import { readDockerfile, readText, readYaml } from '../helpers/manifests.ts'
import { run, temporaryFolder } from '../helpers/process.ts'

const ROOT = join(import.meta.dirname, '../..')

const named = z.looseObject({ source: z.string(), target: z.string() })
const service = z.looseObject({
  profiles: z.array(z.string()).optional(),
  image: z.string().optional(),
  build: z.string().optional(),
  user: z.string().optional(),
  privileged: z.boolean().optional(),
  read_only: z.boolean(),
  cap_drop: z.array(z.string()),
  cap_add: z.array(z.string()).optional(),
  security_opt: z.array(z.string()),
  restart: z.string(),
  mem_limit: z.string(),
  pids_limit: z.number(),
  stop_grace_period: z.string(),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  environment: z.record(z.string(), z.string()).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
  networks: z
    .union([z.array(z.string()), z.record(z.string(), z.looseObject({ ipv4_address: z.string() }))])
    .optional(),
  secrets: z.array(z.union([z.string(), named])).optional(),
  depends_on: z.union([z.array(z.string()), z.record(z.string(), z.unknown())]).optional(),
})
const file = z.strictObject({ file: z.string() })
const compose = z
  .looseObject({
    services: z.record(z.string(), service),
    networks: z.looseObject({
      front: z.object({
        ipam: z.object({ config: z.array(z.object({ subnet: z.string(), ip_range: z.string() })) }),
      }),
      inside: z.object({ internal: z.literal(true) }),
    }),
    secrets: z.record(z.string(), file),
    configs: z.record(z.string(), file),
  })
  .parse(readYaml('docker-compose.yml')[0])
const services = Object.entries(compose.services)
const replicas = services.filter(([name]) => /^jeton-\d$/.test(name))
const image = readDockerfile()

/** A value as Compose makes it where nothing is set. */
function withDefaults(value: string): string {
  return value.replace(/\$\{\w+:-(.*?)\}/g, '$1')
}

describe('docker-compose.yml', () => {
  it('starts one Jeton alone when no profile is named, and three behind a proxy with `replicas`', () => {
    const started = (profile: string) =>
      services.filter(([, { profiles }]) => profiles?.includes(profile) ?? true).map(([name]) => name)
    assert.deepEqual(started(''), ['jeton'])
    assert.deepEqual(started('replicas').sort(), [
      'jeton-1',
      'jeton-2',
      'jeton-3',
      'postgres',
      'proxy',
      'valkey',
    ])
  })

  for (const [name, confined] of services) {
    it(`confines ${name}`, () => {
      assert.equal(confined.read_only, true)
      assert.deepEqual(confined.cap_drop, ['ALL'])
      assert.equal(confined.cap_add, undefined)
      assert.equal(confined.privileged ?? false, false)
      assert.ok(confined.security_opt.includes('no-new-privileges:true'))
      assert.doesNotMatch(
        confined.user ?? (confined.build === undefined ? 'root' : image.user),
        /^(root|0)(:|$)/,
      )
      assert.match(confined.mem_limit, /^\d+m$/)
      assert.equal(confined.restart, 'unless-stopped')
      assert.ok(confined.healthcheck !== undefined || (confined.build === '.' && image.hasHealthCheck))
      // A version, or what is built here; never what somebody may push under the name of this project.
      if (confined.build === undefined) assert.match(confined.image ?? '', /^[a-z/]+:\d[\w.-]*$/)
      else assert.equal(confined.image, undefined)
    })
  }

  it('gives Jeton the time in which it ends', () => {
    for (const [, { stop_grace_period }] of [
      ...replicas,
      ['', compose.services.jeton ?? assert.fail()] as const,
    ]) {
      assert.ok(Number.parseInt(stop_grace_period, 10) > 9)
    }
  })

  it('holds no secret, and tells Jeton only what Jeton knows', () => {
    for (const [, { environment = {}, build }] of services) {
      for (const [name, value] of Object.entries(environment)) {
        if (build !== undefined) assert.ok(name in environmentVariables.shape, name)
        if (/KEY$|_URL$|PASSWORD$/.test(name) && name !== 'PUBLIC_URL') assert.equal(value, '', name)
      }
    }
  })

  it('gives every replica the same, but a folder of its own', () => {
    assert.equal(replicas.length, 3)
    for (const [, { environment, secrets, networks }] of replicas) {
      const [, same] = replicas[0] ?? assert.fail()
      assert.deepEqual(
        { environment, secrets, networks },
        { environment: same.environment, secrets: same.secrets, networks: same.networks },
      )
    }
    assert.equal(new Set(replicas.map(([, { volumes }]) => volumes?.join())).size, 3)
  })

  it('opens one port for everyone, and that speaks HTTPS', () => {
    const published = services.flatMap(([name, { ports = [] }]) =>
      ports.map((port) => [name, withDefaults(port)]),
    )
    assert.deepEqual(published, [
      ['jeton', '127.0.0.1:3000:3000'],
      ['proxy', '443:8443'],
    ])
    assert.match(readText('deploy/compose/haproxy.cfg'), /bind "\$\{BIND-:8443\}" ssl /)
    for (const name of ['postgres', 'valkey']) assert.deepEqual(compose.services[name]?.networks, ['inside'])
  })

  it('trusts the address of the proxy, which no other container can get', () => {
    const networks = compose.services.proxy?.networks
    const address =
      networks === undefined || Array.isArray(networks) ? undefined : networks.front?.ipv4_address
    assert.deepEqual(Object.keys(networks ?? {}), ['front'])
    for (const [, { environment }] of replicas) assert.equal(environment?.TRUST_PROXY, address)
    const [{ subnet, ip_range } = assert.fail()] = compose.networks.front.ipam.config
    assert.ok(isWithin(withDefaults(address ?? ''), withDefaults(subnet)))
    assert.ok(!isWithin(withDefaults(address ?? ''), withDefaults(ip_range)))
  })

  it('names the same replicas to the proxy', () => {
    const servers = [
      ...readText('deploy/compose/haproxy.cfg').matchAll(/^ {2}server (\S+) "\$\{\w+-(\S+)\}"$/gm),
    ]
    assert.deepEqual(
      servers.map(([, name, address]) => [name, address]),
      replicas.map(([name, { environment }]) => [name, `${name}:${environment?.PORT}`]),
    )
  })

  it('mounts files that are there, or that prepare.sh makes', async (t) => {
    for (const { file: path } of Object.values(compose.configs))
      assert.ok((await stat(join(ROOT, path))).isFile())
    const made = await prepare(t, await secretLines(), '--self-signed', 'localhost')
    assert.deepEqual(
      Object.values(compose.secrets)
        .map(({ file: path }) => path.replace('deploy/compose/secrets/', ''))
        .sort(),
      (await readdir(made.folder)).sort(),
    )
  })

  it('makes a configuration that Jeton takes', async (t) => {
    const { folder } = await prepare(t, await secretLines())
    const [, { environment = {} }] = replicas[0] ?? assert.fail()
    const env = Object.fromEntries(
      Object.entries({ ...environment, PUBLIC_URL: 'https://tokens.example.com' }).map(([name, value]) => [
        name,
        withDefaults(value).replace('/run/secrets', folder),
      ]),
    )
    const { config, faults } = checkConfig(env)
    assert.deepEqual(faults, [])
    assert.match(config?.databaseUrl ?? '', /^postgres:\/\/jeton:[\da-f]{64}@postgres:5432\/jeton$/)
    assert.match(config?.redisUrl ?? '', /^redis:\/\/:[\da-f]{64}@valkey:6379$/)
    assert.equal(config?.requireHttps, true)
  })
})

describe('deploy/compose/prepare.sh', () => {
  let lines = ''
  before(async () => {
    lines = await secretLines()
  })

  it("makes secrets that this machine's others cannot reach, and the containers can", async (t) => {
    const { code, folder } = await prepare(t, lines)
    assert.equal(code, 0)
    assert.equal((await stat(folder)).mode & 0o777, 0o700)
    for (const name of await readdir(folder))
      assert.equal((await stat(join(folder, name))).mode & 0o777, 0o444)
    const read = async (name: string) => (await readFile(join(folder, name), 'utf8')).trim()
    assert.equal(`MASTER_KEY=${await read('master_key')}\nADMIN_KEY=${await read('admin_key')}\n`, lines)
    assert.ok((await read('database_url')).includes(await read('database_password')))
    assert.ok((await read('redis_url')).includes((await read('valkey_auth')).replace('requirepass ', '')))
    const passwords = ['postgres_password', 'database_password', 'valkey_auth']
    assert.equal(new Set(await Promise.all(passwords.map(read))).size, 3)
  })

  it('never replaces what is there', async (t) => {
    const { at, folder } = await prepare(t, lines)
    const there = await readFile(join(folder, 'master_key'), 'utf8')
    const again = await prepareIn(at, await secretLines())
    assert.equal(again.code, 1)
    assert.match(again.stderr, /is there already/)
    assert.equal(await readFile(join(folder, 'master_key'), 'utf8'), there)
  })

  const refused: [string, string, string[]][] = [
    ['no secrets', '', []],
    ['one secret', `MASTER_KEY=${randomBytes(32).toString('base64')}\n`, []],
    ['an option that it does not know', 'MASTER_KEY=a\nADMIN_KEY=b\n', ['--other']],
    ['a name that is no host', 'MASTER_KEY=a\nADMIN_KEY=b\n', ['--self-signed', 'a/b']],
    ['a name that would add to the certificate', 'MASTER_KEY=a\nADMIN_KEY=b\n', ['--self-signed', 'a,DNS:b']],
  ]
  for (const [what, input, options] of refused) {
    it(`refuses ${what}, and leaves nothing`, async (t) => {
      const { code, at, stderr } = await prepare(t, input, ...options)
      assert.equal(code, 1)
      assert.match(stderr, /^prepare\.sh: /)
      assert.deepEqual(await readdir(at), ['prepare.sh'])
    })
  }
})

describe('the image', () => {
  it('is sent nothing but what it is made of', () => {
    const [all, ...allowed] = readText('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    assert.equal(all, '*')
    assert.ok(allowed.every((line) => line.startsWith('!')))
    const sent = allowed.map((line) => line.slice(1))
    const copied = [...readText('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, from = '']) => from.split(' '),
    )
    assert.deepEqual([...new Set(copied)].sort(), sent.sort())
  })

  it('tells Node the same as `npm start` does', () => {
    const v8FlagsIn = (text: string) => text.match(/--(?:initial|max|min|v8|no)-[\w=-]+/g)
    const { start } = JSON.parse(readText('package.json')).scripts
    const flags = v8FlagsIn(/^CMD .*$/m.exec(readText('Dockerfile'))?.[0] ?? '')
    assert.equal(flags?.length, 1)
    assert.deepEqual(flags, v8FlagsIn(start))
  })
})

async function secretLines(): Promise<string> {
  return (await run('cli/jeton.ts', ['secrets', 'create'], {})).stdout
}

/** Runs prepare.sh in a folder of its own. */
async function prepare(t: TestContext, input: string, ...options: string[]) {
  const at = join(await temporaryFolder(t), 'compose')
  await mkdir(at)
  await cp(join(ROOT, 'deploy/compose/prepare.sh'), join(at, 'prepare.sh'))
  return await prepareIn(at, input, ...options)
}

async function prepareIn(at: string, input: string, ...options: string[]) {
  const child = spawn(join(at, 'prepare.sh'), options, { stdio: ['pipe', 'ignore', 'pipe'] })
  // It may refuse before it has read.
  child.stdin.on('error', () => undefined).end(input)
  const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr)])
  return { code, stderr, at, folder: join(at, 'secrets') }
}

function isWithin(address: string, range: string): boolean {
  const [network = '', bits] = range.split('/')
  const list = new BlockList()
  list.addSubnet(network, Number(bits))
  return list.check(address)
}
