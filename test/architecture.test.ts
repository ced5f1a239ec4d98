import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, it } from 'node:test'

const SRC = join(import.meta.dirname, '../src/')

/** Who may import what (ARCHITECTURE.md). Rooms are folders or files of src/; the rest are packages. */
const rules: Record<string, { rooms: string[]; packages: string[] }> = {
  domain: { rooms: ['domain'], packages: ['node:crypto', 'node:net', 'node:zlib'] },
  formats: { rooms: ['domain', 'formats'], packages: ['zod'] },
  keys: {
    rooms: ['domain', 'formats', 'keys', 'seams.ts', 'store/store.ts'],
    packages: ['node:crypto', 'node:fs', 'node:fs/promises', 'node:path', 'jose'],
  },
  alerts: {
    rooms: ['alerts', 'domain', 'journal/journal.ts', 'node-http.ts', 'seams.ts', 'store/store.ts'],
    packages: [
      'node:crypto',
      'node:dns/promises',
      'node:http',
      'node:https',
      'node:net',
      'node:timers/promises',
    ],
  },
  limits: { rooms: ['domain', 'limits', 'seams.ts'], packages: ['ioredis', 'node:crypto', 'zod'] },
  journal: {
    rooms: ['domain', 'formats', 'journal', 'seams.ts', 'store/store.ts'],
    packages: [
      'node:crypto',
      'node:fs',
      'node:fs/promises',
      'node:path',
      'node:stream',
      'node:stream/promises',
      'node:timers/promises',
      'node:util',
      'node:zlib',
      'zod',
    ],
  },
  gate: {
    rooms: [
      'domain',
      'formats',
      'gate',
      'keys/follower.ts',
      'keys/held-key.ts',
      'keys/keyring.ts',
      'seams.ts',
      'store/store.ts',
    ],
    packages: [],
  },
  client: { rooms: ['client', 'domain', 'formats'], packages: ['jose', 'zod'] },
  mint: {
    rooms: [
      'domain',
      'formats',
      'gate/revocations.ts',
      'journal/journal.ts',
      'keys/keyring.ts',
      'limits/limiter.ts',
      'mint',
      'seams.ts',
    ],
    packages: ['zod'],
  },
  usage: {
    rooms: [
      'domain',
      'journal/chain-end.ts',
      'journal/claim.ts',
      'journal/folder.ts',
      'journal/journal.ts',
      'journal/lines.ts',
      'seams.ts',
      'store/store.ts',
      'usage',
    ],
    packages: ['node:crypto', 'node:fs/promises', 'node:path', 'node:timers/promises', 'zod'],
  },
  metrics: {
    rooms: [
      'alerts/open-alerts.ts',
      'domain',
      'formats',
      'gate',
      'journal/journal.ts',
      'keys/follower.ts',
      'keys/keyring.ts',
      'limits/auth-failures.ts',
      'limits/limiter.ts',
      'metrics',
      'mint/turn.ts',
      'seams.ts',
      'usage/usage.ts',
      '../package.json',
    ],
    // Through metrics/prom-client.ts, which alone names the package at run time.
    packages: ['node:module', 'prom-client'],
  },
  store: {
    rooms: ['domain', 'store'],
    packages: [
      'kysely',
      'kysely/migration',
      'node:crypto',
      'node:fs',
      'node:path',
      'node:sqlite',
      'node:timers/promises',
      'node:url',
      'pg',
      'zod',
    ],
  },
  http: {
    rooms: [
      'actors.ts',
      'config.ts',
      'domain',
      'formats',
      'gate',
      'http',
      'journal/journal.ts',
      'journal/recent.ts',
      'keys/api-keys.ts',
      'keys/environments.ts',
      'keys/follower.ts',
      'keys/idempotency.ts',
      'keys/key-lives.ts',
      'keys/keyring.ts',
      'keys/last-uses.ts',
      'keys/signing-key-rotation.ts',
      'limits/auth-failures.ts',
      'limits/limiter.ts',
      'log-level.ts',
      'metrics/http-metrics.ts',
      'metrics/metrics.ts',
      'mint',
      'node-http.ts',
      'store/store.ts',
      'usage/report.ts',
      'usage/span.ts',
      'usage/usage.ts',
      '../package.json',
    ],
    packages: [
      'fastify',
      'fastify-plugin',
      'fastify-type-provider-zod',
      '@fastify/cors',
      '@fastify/formbody',
      '@fastify/rate-limit',
      '@fastify/swagger',
      '@fastify/swagger-ui',
      'helmet',
      'pino',
      'zod',
      'node:buffer',
      'node:crypto',
      'node:events',
      'node:fs/promises',
      'node:http',
      'node:https',
      'node:net',
      'node:stream',
      'node:timers/promises',
    ],
  },
  cli: {
    rooms: [
      'alerts/alert-record.ts',
      'alerts/replay.ts',
      'alerts/replay-usage.ts',
      'alerts/spike.ts',
      'cli',
      'compose.ts',
      'config.ts',
      'doctor/doctor.ts',
      'domain',
      'formats',
      'installation.ts',
      'journal/changes.ts',
      'journal/folder.ts',
      'journal/follow.ts',
      'journal/query.ts',
      'journal/verify-changes.ts',
      'journal/verify.ts',
      'keys/peer-secret.ts',
      'keys/signing-key-rotation.ts',
      'main.ts',
      'maintenance.ts',
      'seams.ts',
      'store/store.ts',
      'usage/report.ts',
      'usage/span.ts',
      '../package.json',
    ],
    packages: [
      'commander',
      'node:events',
      'node:fs/promises',
      'node:module',
      'node:os',
      'node:path',
      'node:readline/promises',
      'node:stream/consumers',
      'zod',
    ],
  },
  'node-http.ts': { rooms: [], packages: [] },
  'seams.ts': { rooms: [], packages: ['node:crypto'] },
  'actors.ts': { rooms: ['domain'], packages: ['node:async_hooks'] },
  'spare-memory.ts': { rooms: [], packages: ['node:async_hooks', 'node:inspector/promises'] },
  'config.ts': {
    rooms: ['config-files.ts', 'config-values.ts', 'domain'],
    packages: ['node:net', 'zod'],
  },
  'config-files.ts': { rooms: [], packages: ['node:crypto', 'node:fs'] },
  'config-values.ts': { rooms: ['domain'], packages: ['zod'] },
  'log.ts': {
    rooms: ['config.ts'],
    packages: ['node:events', 'node:fs', 'node:timers/promises', 'pino', 'sonic-boom'],
  },
  'log-level.ts': { rooms: ['config.ts'], packages: ['pino'] },
  'installation.ts': {
    rooms: ['actors.ts', 'config.ts', 'domain', 'formats', 'keys', 'seams.ts', 'store'],
    packages: ['node:fs', 'node:path'],
  },
  'compose.ts': {
    rooms: [
      'alerts',
      'config.ts',
      'domain',
      'formats',
      'gate',
      'installation.ts',
      'journal',
      'keys',
      'limits',
      'metrics',
      'mint',
      'seams.ts',
      'store',
      'usage',
    ],
    packages: ['pino'],
  },
  doctor: {
    rooms: [
      'config.ts',
      'config-files.ts',
      'doctor',
      'installation.ts',
      'journal/folder.ts',
      'journal/inspect.ts',
      'keys',
      'limits/open-shared.ts',
      'seams.ts',
      'store',
    ],
    packages: ['node:crypto', 'node:fs', 'node:path'],
  },
  'maintenance.ts': {
    rooms: ['config.ts', 'domain', 'installation.ts', 'keys', 'seams.ts', 'store'],
    packages: ['node:fs'],
  },
  'main.ts': { rooms: ['serve.ts'], packages: ['node:module', 'node:path'] },
  'serve.ts': {
    rooms: [
      'compose.ts',
      'config.ts',
      'domain/error-code.ts',
      'http',
      'installation.ts',
      'keys/environments.ts',
      'keys/follower.ts',
      'log-level.ts',
      'log.ts',
      'metrics/metrics.ts',
      'seams.ts',
      'spare-memory.ts',
    ],
    packages: ['close-with-grace', 'node:timers/promises', 'pino'],
  },
}

const files = globSync('**/*.ts', { cwd: SRC })

describe('the house', () => {
  it('has a rule for every room', () => {
    const rooms = new Set(files.map((file) => file.split('/')[0] ?? file))
    assert.deepEqual([...rooms].sort(), Object.keys(rules).sort())
  })

  for (const file of files) {
    it(`lets ${file} import only what its room may`, () => {
      const rule = rules[file.split('/')[0] ?? file]
      assert.ok(rule)
      for (const specifier of importsOf(file)) {
        const allowed: boolean = specifier.startsWith('.')
          ? rule.rooms.some((room) => isWithin(normalize(join(dirname(file), specifier)), room))
          : rule.packages.includes(specifier)
        assert.ok(allowed, `${file} imports ${specifier}`)
      }
    })
  }

  it('keeps the clock, chance, the process and waiting out of domain', () => {
    for (const file of files.filter((name) => name.startsWith('domain/'))) {
      assert.doesNotMatch(
        readFileSync(join(SRC, file), 'utf8'),
        /\bDate[.(]|Math\.random|\bprocess\.|\basync \b|\bawait /,
      )
    }
  })

  it('takes prom-client and node:http by their side doors, which load a tenth of a start less', () => {
    const takes = (file: string) =>
      /^import (?!type\b)[^'"]*'(?:prom-client|node:http)'/m.test(readFileSync(join(SRC, file), 'utf8'))
    assert.deepEqual(files.filter(takes), [])
  })

  it('reads environment variables in config.ts alone', () => {
    const readers = files.filter((file) => readFileSync(join(SRC, file), 'utf8').includes('process.env'))
    assert.deepEqual(readers, ['config.ts'])
  })
})

function importsOf(file: string): string[] {
  const source = readFileSync(join(SRC, file), 'utf8')
  const found = source.matchAll(
    /^(?:import|export)\s[^'"]*?from\s+'([^']+)'|import\(\s*'([^']+)'|^import\s+'([^']+)'/gm,
  )
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function isWithin(path: string, room: string): boolean {
  return path === normalize(room) || (!room.endsWith('.ts') && !relative(room, path).startsWith('..'))
}
