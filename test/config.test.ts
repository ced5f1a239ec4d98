import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { environmentVariables, readConfig, StartError } from '../src/config.ts'
import { writeKey } from '../src/domain/api-key.ts'
import { temporaryFolder } from './helpers/process.ts'
import { START_MS } from './helpers/seams.ts'

const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')
const ADMIN_KEY = writeKey('admin', undefined, new Uint8Array(32))
const PRODUCTION = { NODE_ENV: 'production', PUBLIC_URL: 'https://tokens.example.com', MASTER_KEY, ADMIN_KEY }

describe('the configuration', () => {
  it('needs nothing outside production', () => {
    const config = readConfig({}, START_MS)
    assert.equal(config.publicUrl, 'http://127.0.0.1:3000')
    assert.equal(config.requireHttps, false)
    assert.deepEqual(config.limits.subject, { count: 10, windowSeconds: 60 })
  })

  it('takes an empty variable for one that is not set', () => {
    assert.deepEqual(readConfig({ PORT: '', TRUST_PROXY: '' }, START_MS), readConfig({}, START_MS))
  })

  it('names localhost when it listens everywhere', () => {
    assert.equal(readConfig({ HOST: '0.0.0.0' }, START_MS).publicUrl, 'http://localhost:3000')
    assert.equal(readConfig({ HOST: '::1' }, START_MS).publicUrl, 'http://[::1]:3000')
  })

  it('tells every fault in one message', () => {
    assert.throws(
      () =>
        readConfig({ PORT: 'x', LOG_LEVEL: 'loud', TRUST_PROXY: 'true', NODE_ENV: 'production' }, START_MS),
      (error: unknown) => {
        assert.ok(error instanceof StartError)
        for (const name of ['PORT', 'LOG_LEVEL', 'TRUST_PROXY', 'MASTER_KEY', 'ADMIN_KEY', 'PUBLIC_URL']) {
          assert.match(error.message, new RegExp(name))
        }
        assert.match(error.message, /jeton secrets create/)
        return true
      },
    )
  })

  const bad: [string, string][] = [
    ['NODE_ENV', 'prodution'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '3e3'],
    ['DATABASE_URL', 'mysql://user:password@host/jeton'],
    ['DATABASE_URL', 'postgres:jeton'],
    ['DATABASE_URL', 'jeton.db'],
    ['REDIS_URL', 'http://localhost:6379'],
    ['REDIS_URL', 'localhost:6379'],
    ['REDIS_URL', 'redis://localhost/limits'],
    ['REDIS_URL', 'redis://localhost?enableOfflineQueue=true'],
    ['REDIS_URL', 'redis://:100%@localhost'],
    ['REDIS_URL', 'redis://:%ff@localhost'],
    ['PUBLIC_URL', 'tokens.example.com'],
    ['PUBLIC_URL', 'ftp://x'],
    ['PUBLIC_URL', 'https://user:pass@x'],
    ['PUBLIC_URL', 'https://x?y=1'],
    ['MASTER_KEY', 'short'],
    ['MASTER_KEY', Buffer.alloc(31).toString('base64')],
    ['ADMIN_KEY', 'ak_live_x'],
    ['ADMIN_KEY', `${ADMIN_KEY}0`],
    ['TRUST_PROXY', '1'],
    ['TRUST_PROXY', 'true'],
    ['TRUST_PROXY', '10.0.0.0/33'],
    ['TRUST_PROXY', '0.0.0.0/0'],
    ['TRUST_PROXY', '128.0.0.0/1'],
    ['TRUST_PROXY', '::/1'],
    ['TRUST_PROXY', '10.0.0.0/08'],
    ['TRUST_PROXY', '10.0.0.1,,'],
    ['REQUIRE_HTTPS', 'yes'],
    ['RATE_LIMIT_SUBJECT', '0/1m'],
    ['RATE_LIMIT_SUBJECT', '10'],
    ['RATE_LIMIT_KEY', '10/1d'],
    ['RATE_LIMIT_AUTH_FAILURES', '-1/1m'],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'https://x/'],
    ['STALE_KEYS_SECONDS', '0'],
    ['JOURNAL', 'syslog'],
    ['JOURNAL_KEEP_DAYS', '0'],
    ['JOURNAL_KEEP_DAYS', '3651'],
    ['ALERT_WEBHOOK_URL', 'ftp://hooks.example.com'],
    ['ALERT_WEBHOOK_URL', 'https://hooks.example.com/#x'],
    ['ALERT_WEBHOOK_URL', 'https://a:100%@hooks.example.com'],
    ['ALERT_WEBHOOK_SECRET', 'whsec_short'],
    ['ALERT_WEBHOOK_SECRET', Buffer.alloc(65).toString('base64')],
    ['ALERT_WEBHOOK_ALLOW_PRIVATE', 'yes'],
    ['LOG_LEVEL', 'verbose'],
    ['TLS_CERT_FILE', '/nowhere/cert.pem'],
    ['MASTER_KEY_FILE', '/nowhere/key'],
  ]
  for (const [name, value] of bad) {
    it(`refuses ${name}=${value.slice(0, 30)} and says why`, () => {
      assert.throws(() => readConfig({ [name]: value }, START_MS), {
        name: 'StartError',
        message: new RegExp(`^The configuration is not valid:\\n  - (?:.*)${name}`),
      })
    })
  }

  it('never repeats a secret that it refuses', () => {
    for (const name of [
      'MASTER_KEY',
      'ADMIN_KEY',
      'DATABASE_URL',
      'REDIS_URL',
      'ALERT_WEBHOOK_URL',
      'ALERT_WEBHOOK_SECRET',
    ]) {
      assert.throws(
        () => readConfig({ [name]: 'ak://user:canary_canary@host/#' }, START_MS),
        (error: unknown) => error instanceof StartError && !error.message.includes('canary'),
      )
    }
  })

  it('reads limits in seconds, minutes and hours', () => {
    const limits = readConfig({ RATE_LIMIT_SUBJECT: '5/10s', RATE_LIMIT_KEY: '100/2h' }, START_MS).limits
    assert.deepEqual(limits.subject, { count: 5, windowSeconds: 10 })
    assert.deepEqual(limits.secretKey, { count: 100, windowSeconds: 7200 })
  })

  it('takes a secret from a file, but not from two places', async (t) => {
    const file = join(await temporaryFolder(t), 'master')
    await writeFile(file, `${MASTER_KEY}\n`)
    assert.deepEqual(readConfig({ MASTER_KEY_FILE: file }, START_MS).masterKeys, [Buffer.alloc(32, 7)])
    assert.throws(() => readConfig({ MASTER_KEY_FILE: file, MASTER_KEY }, START_MS), /keep one/)
  })

  it('reads where the shared database and the shared counts are', async (t) => {
    const file = join(await temporaryFolder(t), 'redis-url')
    await writeFile(file, 'rediss://:secret@redis.example.com:6380\n')
    const DATABASE_URL = 'postgresql://jeton:secret@db.example.com/jeton?sslmode=verify-full'
    const config = readConfig({ DATABASE_URL, REDIS_URL_FILE: file }, START_MS)
    assert.equal(config.databaseUrl, DATABASE_URL)
    assert.equal(config.redisUrl, 'rediss://:secret@redis.example.com:6380')
  })

  it('takes two master keys while the master key changes, and no more', () => {
    const [one = '', two = '', three = ''] = [1, 2, 3].map((byte) =>
      Buffer.alloc(32, byte).toString('base64'),
    )
    const keysOf = (MASTER_KEY: string) => readConfig({ MASTER_KEY }, START_MS).masterKeys
    assert.deepEqual(keysOf(`${two}, ${one}`), [Buffer.alloc(32, 2), Buffer.alloc(32, 1)])
    assert.throws(
      () => keysOf(`${one},${two},${three}`),
      /MASTER_KEY must be one key, or while it changes two/,
    )
    assert.throws(() => keysOf(`${one},${one}`), /two different ones/)
    assert.throws(() => keysOf(`${one},short`), /MASTER_KEY must be 32 bytes in base64/)
  })

  it('tells of spikes where a URL and a secret say so, and only where that is safe', async (t) => {
    const [one, two] = [24, 64].map((length) => Buffer.alloc(length, 9))
    const ALERT_WEBHOOK_SECRET = `whsec_${one?.toString('base64')}, ${two?.toString('base64')}`
    const read = (ALERT_WEBHOOK_URL: string, ALERT_WEBHOOK_ALLOW_PRIVATE = 'false') =>
      readConfig({ ALERT_WEBHOOK_URL, ALERT_WEBHOOK_SECRET, ALERT_WEBHOOK_ALLOW_PRIVATE }, START_MS)
        .alertWebhook
    assert.equal(readConfig({}, START_MS).alertWebhook, undefined)
    const url = 'https://user:canary@hooks.example.com/x?y=1'
    assert.deepEqual(read(url), { url, secrets: [one, two], allowPrivate: false })
    assert.equal(read('http://127.0.0.1:9000', 'true')?.allowPrivate, true)
    for (const [text, allows, fault] of [
      ['http://hooks.example.com', 'false', /must be https/],
      ['http://1.1.1.1', 'true', /must be https/],
      ['https://127.0.0.1', 'false', /a private address/],
      ['https://[::1]', 'false', /a private address/],
      ['https://169.254.169.254', 'true', /no notice is sent to/],
      ['https://[::ffff:10.0.0.1]', 'true', /no notice is sent to/],
    ] as const) {
      assert.throws(() => read(text, allows), fault, text)
    }
    assert.throws(() => readConfig({ ALERT_WEBHOOK_URL: url }, START_MS), /go together/)
    assert.throws(() => readConfig({ ALERT_WEBHOOK_SECRET }, START_MS), /go together/)
    const file = join(await temporaryFolder(t), 'secret')
    await writeFile(file, `${one?.toString('base64')}\n`)
    const { alertWebhook } = readConfig({ ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET_FILE: file }, START_MS)
    assert.deepEqual(alertWebhook?.secrets, [one])
  })

  it('requires HTTPS in production unless told otherwise', () => {
    assert.equal(readConfig(PRODUCTION, START_MS).requireHttps, true)
    assert.equal(readConfig({ ...PRODUCTION, REQUIRE_HTTPS: 'false' }, START_MS).requireHttps, false)
  })
})

describe('native TLS', () => {
  const TLS_CERT_FILE = join(import.meta.dirname, './fixtures/localhost-cert.pem')
  const TLS_KEY_FILE = join(import.meta.dirname, './fixtures/localhost-key.pem')

  it('takes a certificate and its key, and then names itself https', () => {
    const config = readConfig({ TLS_CERT_FILE, TLS_KEY_FILE }, START_MS)
    assert.match(config.tls?.cert ?? '', /BEGIN CERTIFICATE/)
    assert.equal(config.publicUrl, 'https://127.0.0.1:3000')
  })

  it('refuses a certificate that has expired', () => {
    const inTwoHundredYears = START_MS + 200 * 365 * 86_400_000
    assert.throws(
      () => readConfig({ TLS_CERT_FILE, TLS_KEY_FILE }, inTwoHundredYears),
      /TLS_CERT_FILE expired at 21/,
    )
  })

  it('refuses a key of another certificate, half a pair, and what is no certificate', async (t) => {
    const other = join(await temporaryFolder(t), 'other.pem')
    await writeFile(other, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }))
    assert.throws(() => readConfig({ TLS_CERT_FILE, TLS_KEY_FILE: other }, START_MS), /does not belong/)
    assert.throws(() => readConfig({ TLS_CERT_FILE: other, TLS_KEY_FILE }, START_MS), /are not a certificate/)
    assert.throws(() => readConfig({ TLS_CERT_FILE }, START_MS), /go together/)
  })
})

describe('.env.example', () => {
  const lines = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
    .split('\n')
    .flatMap((line) => [...line.matchAll(/^#? ?([A-Z_]+)=(.*)$/g)])
    .map(([, name = '', value = '']) => [name, value] as const)

  it('names every variable, in order, and no other', () => {
    assert.deepEqual(
      lines.map(([name]) => name),
      Object.keys(environmentVariables.shape),
    )
  })

  it('shows the defaults as they are', () => {
    assert.deepEqual(readConfig(Object.fromEntries(lines), START_MS), readConfig({}, START_MS))
  })
})
