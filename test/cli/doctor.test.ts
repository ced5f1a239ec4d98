import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { writeKey } from '../../src/domain/api-key.ts'
import type { Ended } from '../helpers/commands.ts'
import { install } from '../helpers/installation.ts'
import { startServer } from '../helpers/process.ts'

const ADMIN_KEY = writeKey('admin', undefined, new Uint8Array(32))
const MASTER_KEY = Buffer.alloc(32, 1).toString('base64')
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64')
const HTTP_PRODUCTION = { NODE_ENV: 'production', PUBLIC_URL: 'http://tokens.example.com' }

const found = z.object({
  checks: z.array(z.object({ state: z.enum(['ok', 'mend']), what: z.string(), how: z.string().optional() })),
})

/** What needs mending, with how. */
function faults({ stdout }: Ended): string[] {
  const { checks } = found.parse(JSON.parse(stdout))
  for (const { state, how } of checks) assert.equal(how === undefined, state === 'ok')
  return checks.flatMap(({ state, what, how }) => (state === 'mend' ? [`${what} → ${how}`] : []))
}

describe('jeton doctor', () => {
  it('finds nothing to mend beside a running server or without one, and changes nothing', async (t) => {
    const { DATA_DIR, jeton } = await install(t, { MASTER_KEY, ADMIN_KEY })
    const look = async () => {
      const before = readdirSync(DATA_DIR)
      const [text, json] = [await jeton(['doctor']), await jeton(['doctor', '--json'])]
      assert.deepEqual([text.code, text.stderr, json.code, faults(json)], [0, '', 0, []])
      for (const line of text.stdout.trim().split('\n')) assert.match(line, /^ok {4}\S/)
      assert.match(text.stdout, /the master key opens the database/)
      assert.deepEqual(readdirSync(DATA_DIR), before)
    }
    await look()
    const server = await startServer(t, { DATA_DIR, MASTER_KEY, ADMIN_KEY })
    await look()
    await server.stop('SIGKILL')
    const database = readFileSync(join(DATA_DIR, 'jeton.db'))
    await look()
    assert.deepEqual(readFileSync(join(DATA_DIR, 'jeton.db')), database)
  })

  const broken: [string, (dataDir: string) => Record<string, string>, RegExp][] = [
    ['every fault of the configuration', () => ({ PORT: 'x', LOG_LEVEL: 'loud' }), /: PORT .*: LOG_LEVEL /s],
    [
      'a master key that opens nothing',
      () => ({ MASTER_KEY: OTHER_KEY }),
      /master key does not open.*→ set MASTER_KEY/,
    ],
    [
      'an unfinished change of the master key',
      () => ({ MASTER_KEY: `${OTHER_KEY},${MASTER_KEY}` }),
      /under the second master key → run `jeton master-key rotate`/,
    ],
    [
      'a master key that is left over',
      () => ({ MASTER_KEY: `${MASTER_KEY},${OTHER_KEY}` }),
      /no longer needed → take it out of MASTER_KEY/,
    ],
    ['an admin key that is missing', () => ({ ADMIN_KEY: '' }), /there is no admin key → set ADMIN_KEY/],
    ['a PUBLIC_URL in production without HTTPS', () => HTTP_PRODUCTION, /is not https → put HTTPS in front/],
    [
      'a Redis that is away',
      () => ({ REDIS_URL: 'redis://:hunter2@127.0.0.1:1' }),
      /^the Redis of REDIS_URL \(127\.0\.0\.1:1\) does not count limits: ECONNREFUSED → start it/,
    ],
    [
      'a file in the place of the journal',
      (dataDir) => {
        writeFileSync(join(dataDir, 'journal'), '')
        return {}
      },
      /^the journal’s folder .* cannot be used/,
    ],
    [
      'a data folder that is not there',
      (dataDir) => ({ DATA_DIR: join(dataDir, 'none') }),
      /DATA_DIR .*none cannot be used.*There is no database/s,
    ],
    [
      'files that others may read',
      (dataDir) => {
        chmodSync(dataDir, 0o755)
        chmodSync(join(dataDir, 'jeton.db'), 0o644)
        return {}
      },
      /mode 755.*→ chmod 700 .*mode 644.*→ chmod 600 .*jeton\.db/s,
    ],
    [
      'a database that is missing',
      (dataDir) => {
        rmSync(join(dataDir, 'jeton.db'))
        return {}
      },
      /There is no database .*→ .*`jeton restore` a backup/,
    ],
    [
      'a damaged database',
      (dataDir) => {
        const path = join(dataDir, 'jeton.db')
        writeFileSync(path, readFileSync(path).fill(0x5a, 20_000, 24_000))
        return {}
      },
      /jeton\.db is no whole database/,
    ],
    [
      'a database of a newer Jeton',
      edited("insert into kysely_migration values ('9999-future', 'x')"),
      /newer Jeton/,
    ],
    [
      'a clock that is behind',
      edited('update environment set created_at = 4000000000000'),
      /the database has something made at 2096-.*→ set the clock/,
    ],
  ]

  for (const [what, breakIt, message] of broken) {
    it(`finds ${what}, says how to mend it, and exits with 1`, async (t) => {
      const { DATA_DIR, jeton } = await install(t, { MASTER_KEY, ADMIN_KEY })
      const ended = await jeton(['doctor', '--json'], breakIt(DATA_DIR))
      assert.deepEqual([ended.code, ended.stderr], [1, ''])
      assert.match(faults(ended).join('\n'), message)
    })
  }

  it('finds a certificate that ends within two weeks', async (t) => {
    const { elsewhere, jeton } = await install(t, { MASTER_KEY, ADMIN_KEY })
    const [TLS_CERT_FILE, TLS_KEY_FILE] = [join(elsewhere, 'cert.pem'), join(elsewhere, 'key.pem')]
    const issue = (days: string) =>
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=localhost', '-days', days].concat([
          '-keyout',
          TLS_KEY_FILE,
          '-out',
          TLS_CERT_FILE,
        ]),
        { stdio: 'ignore' },
      )
    issue('13')
    const ended = await jeton(['doctor', '--json'], { TLS_CERT_FILE, TLS_KEY_FILE })
    assert.equal(ended.code, 1)
    assert.match(faults(ended).join('\n'), /^the certificate .* is valid until .* → renew it/)
    issue('30')
    assert.equal((await jeton(['doctor'], { TLS_CERT_FILE, TLS_KEY_FILE })).code, 0)
  })
})

function edited(sql: string) {
  return (dataDir: string) => {
    const database = new DatabaseSync(join(dataDir, 'jeton.db'))
    database.exec(sql)
    database.close()
    return {}
  }
}
