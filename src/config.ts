import { isIP } from 'node:net'
import { z } from 'zod'
import { readText, readTls, type Tls } from './config-files.ts'
import {
  adminKeys,
  databaseUrl,
  flag,
  limit,
  masterKeys,
  origins,
  proxies,
  publicUrl,
  redisUrl,
  webhookSecrets,
  webhookUrl,
  wholeNumber,
} from './config-values.ts'
import type { Limit } from './domain/limit.ts'
import { reachOf } from './domain/outbound-address.ts'

/** Everything that can be set from outside, checked. Made once, at start, by `readConfig`. */
export interface Config {
  readonly production: boolean
  readonly host: string
  readonly port: number
  /** Folder of the embedded database and of what is generated at the first run. */
  readonly dataDir: string
  /** The PostgreSQL database that several processes share; `undefined` is the embedded one in `dataDir`. May hold a password. */
  readonly databaseUrl: string | undefined
  /** The Redis that counts limits for several processes; `undefined` counts in this one. May hold a password. */
  readonly redisUrl: string | undefined
  /**
   * 32 bytes each. The first seals; a second one still opens, while the master key changes. None means: use, or outside
   * production make, the one in the data folder.
   */
  readonly masterKeys: readonly Uint8Array[]
  /** Any of them opens the admin API, so that they can be rotated; none means: outside production, make one. */
  readonly adminKeys: readonly string[]
  /** Issuer of the tokens, without a slash at its end. */
  readonly publicUrl: string
  /** Addresses and CIDR ranges of proxies whose `X-Forwarded-*` is believed. */
  readonly trustProxy: readonly string[]
  readonly tls: Tls | undefined
  readonly requireHttps: boolean
  readonly limits: { readonly subject: Limit; readonly secretKey: Limit; readonly authFailures: Limit }
  /** Origins that may read the documentation page's files. */
  readonly corsOrigins: readonly string[]
  /** Whether the development endpoint `POST /token` is there. */
  readonly sandbox: boolean
  /** How long keys may be used that could not be checked against the database. */
  readonly staleKeysSeconds: number
  /** The port that tells the metrics to whoever asks; `undefined` opens none. */
  readonly metricsPort: number | undefined
  readonly metricsHost: string
  readonly logLevel: LogLevel
  /** Where the record of issued tokens is written. */
  readonly journal: JournalKind
  /** How long a file of the record is kept, in days. */
  readonly journalKeepDays: number
  /** How long counts of usage are kept, in days. */
  readonly usageKeepDays: number
  /** Who is told of spikes of issuance; `undefined` when nobody is. */
  readonly alertWebhook: AlertWebhook | undefined
}

/** Where notices of alerts are sent to. */
export interface AlertWebhook {
  /** May hold a user and a password. */
  readonly url: string
  /** Every one signs. */
  readonly secrets: readonly Uint8Array[]
  /** Whether it may lead to a private address, and there without TLS. */
  readonly allowPrivate: boolean
}

const JOURNAL_KINDS = ['file', 'stdout', 'off'] as const
export type JournalKind = (typeof JOURNAL_KINDS)[number]

/** From the quietest to the one that says most, and nothing at all. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A start that cannot go on. Its message is the one thing that is printed. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/**
 * Every variable that Jeton reads, in the order of .env.example. `prefault` is the default as one would write it
 * there.
 */
export const environmentVariables = z.object({
  NODE_ENV: z
    .enum(['production', 'development', 'test'], 'must be production, development or test')
    .optional(),
  HOST: z.string().prefault('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).prefault('3000'),
  DATA_DIR: z.string().prefault('./data'),
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_URL_FILE: z.string().optional(),
  REDIS_URL: redisUrl.optional(),
  REDIS_URL_FILE: z.string().optional(),
  PUBLIC_URL: publicUrl.optional(),
  MASTER_KEY: masterKeys.optional(),
  MASTER_KEY_FILE: z.string().optional(),
  ADMIN_KEY: adminKeys.optional(),
  ADMIN_KEY_FILE: z.string().optional(),
  TRUST_PROXY: proxies.optional(),
  TLS_CERT_FILE: z.string().optional(),
  TLS_KEY_FILE: z.string().optional(),
  REQUIRE_HTTPS: flag.optional(),
  RATE_LIMIT_SUBJECT: limit.prefault('10/1m'),
  RATE_LIMIT_KEY: limit.prefault('6000/1m'),
  RATE_LIMIT_AUTH_FAILURES: limit.prefault('30/1m'),
  CORS_ORIGINS: origins.optional(),
  SANDBOX: flag.prefault('false'),
  STALE_KEYS_SECONDS: wholeNumber(1, 3600).prefault('30'),
  JOURNAL: z.enum(JOURNAL_KINDS, `must be one of ${JOURNAL_KINDS.join(', ')}`).prefault('file'),
  JOURNAL_KEEP_DAYS: wholeNumber(1, 3_650).prefault('90'),
  USAGE_KEEP_DAYS: wholeNumber(8, 3_650).prefault('400'),
  METRICS_PORT: wholeNumber(0, 65_535).optional(),
  METRICS_HOST: z.string().optional(),
  ALERT_WEBHOOK_URL: webhookUrl.optional(),
  ALERT_WEBHOOK_URL_FILE: z.string().optional(),
  ALERT_WEBHOOK_SECRET: webhookSecrets.optional(),
  ALERT_WEBHOOK_SECRET_FILE: z.string().optional(),
  ALERT_WEBHOOK_ALLOW_PRIVATE: flag.prefault('false'),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).prefault('info'),
})

type Values = z.output<typeof environmentVariables>
type Given = Readonly<Record<string, string | undefined>>

/**
 * Reads the environment variables. An empty one counts as not set.
 *
 * @param now unix milliseconds, which a certificate must outlive
 * @throws StartError one message that names every fault
 */
export function readConfig(env: Given = process.env, now = Date.now()): Config {
  const { config, faults } = checkConfig(env, now)
  if (config !== undefined) return config
  throw new StartError(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
}

/**
 * The PostgreSQL that an argument names or, without one, the environment variables.
 *
 * @throws StartError that repeats nothing of it
 */
export function readDatabaseUrl(argument: string | undefined, env: Given = process.env): string {
  const faults: string[] = []
  const { DATABASE_URL, DATABASE_URL_FILE } = env
  const set = Object.fromEntries(
    Object.entries({ DATABASE_URL, DATABASE_URL_FILE }).filter(([, value]) => value !== ''),
  )
  const given: Given = argument === undefined ? { ...set, ...readSecretFiles(set, faults) } : {}
  const text = argument ?? given.DATABASE_URL
  if (text === undefined && faults.length === 0) faults.push('DATABASE_URL is not set, and no URL was given')
  const found = databaseUrl.safeParse(text)
  if (found.success && faults.length === 0) return found.data
  const [fault = `The URL of the database ${found.error?.issues[0]?.message}`] = faults
  throw new StartError(`${fault}. Nothing was changed.`)
}

/** What the environment variables say, with whatever is wrong about them. */
export interface ConfigReport {
  /** `undefined` when there are faults. */
  readonly config: Config | undefined
  readonly faults: readonly string[]
  readonly dataDir: string
  /** Whether neither a PostgreSQL nor a file with its URL is named. */
  readonly isEmbedded: boolean
  /** As in `Config`; `undefined` as well when what is given is no URL. */
  readonly databaseUrl: string | undefined
  /** As in `Config`; `undefined` when what is given is no master key. */
  readonly masterKeys: readonly Uint8Array[] | undefined
  readonly tls: Tls | undefined
}

/** Reads the environment variables as `readConfig` does, and goes on where something is wrong. */
export function checkConfig(env: Given = process.env, now = Date.now()): ConfigReport {
  const faults: string[] = []
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  )
  const given: Given = { ...set, ...readSecretFiles(set, faults) }
  const found = environmentVariables.safeParse(given)
  for (const issue of found.error?.issues ?? []) faults.push(`${issue.path.join('.')} ${issue.message}`)
  const tls = readTls(set.TLS_CERT_FILE, set.TLS_KEY_FILE, now, faults)
  if (found.data !== undefined) faults.push(...webhookFaults(found.data, set))
  if (given.NODE_ENV === 'production') faults.push(...faultsInProduction(given))
  const { DATA_DIR, DATABASE_URL, MASTER_KEY } = environmentVariables.shape
  const generated = given.MASTER_KEY === undefined && set.MASTER_KEY_FILE === undefined
  return {
    config: found.data === undefined || faults.length > 0 ? undefined : toConfig(found.data, tls),
    faults,
    dataDir: DATA_DIR.parse(given.DATA_DIR),
    isEmbedded: given.DATABASE_URL === undefined && set.DATABASE_URL_FILE === undefined,
    databaseUrl: DATABASE_URL.safeParse(given.DATABASE_URL).data,
    masterKeys: generated ? [] : MASTER_KEY.safeParse(given.MASTER_KEY).data,
    tls,
  }
}

function toConfig(values: Values, tls: Tls | undefined): Config {
  const production = values.NODE_ENV === 'production'
  return {
    production,
    host: values.HOST,
    port: values.PORT,
    dataDir: values.DATA_DIR,
    databaseUrl: values.DATABASE_URL,
    redisUrl: values.REDIS_URL,
    masterKeys: values.MASTER_KEY ?? [],
    adminKeys: values.ADMIN_KEY ?? [],
    publicUrl: values.PUBLIC_URL ?? defaultPublicUrl(values.HOST, values.PORT, tls !== undefined),
    trustProxy: values.TRUST_PROXY ?? [],
    tls,
    requireHttps: values.REQUIRE_HTTPS ?? production,
    limits: {
      subject: values.RATE_LIMIT_SUBJECT,
      secretKey: values.RATE_LIMIT_KEY,
      authFailures: values.RATE_LIMIT_AUTH_FAILURES,
    },
    corsOrigins: values.CORS_ORIGINS ?? [],
    sandbox: values.SANDBOX,
    staleKeysSeconds: values.STALE_KEYS_SECONDS,
    metricsPort: values.METRICS_PORT,
    metricsHost: values.METRICS_HOST ?? values.HOST,
    logLevel: values.LOG_LEVEL,
    journal: values.JOURNAL,
    journalKeepDays: values.JOURNAL_KEEP_DAYS,
    usageKeepDays: values.USAGE_KEEP_DAYS,
    alertWebhook: alertWebhookOf(values),
  }
}

function alertWebhookOf(values: Values): AlertWebhook | undefined {
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secrets } = values
  if (url === undefined || secrets === undefined) return undefined
  return { url, secrets, allowPrivate: values.ALERT_WEBHOOK_ALLOW_PRIVATE }
}

// What a name leads to is judged when a notice is sent; what stands here as an address can be judged now.
function webhookFaults(values: Values, set: Given): string[] {
  const {
    ALERT_WEBHOOK_URL: url,
    ALERT_WEBHOOK_SECRET: secrets,
    ALERT_WEBHOOK_ALLOW_PRIVATE: allows,
  } = values
  const hasUrl = url !== undefined || set.ALERT_WEBHOOK_URL_FILE !== undefined
  const hasSecret = secrets !== undefined || set.ALERT_WEBHOOK_SECRET_FILE !== undefined
  if (hasUrl !== hasSecret) {
    return ['ALERT_WEBHOOK_URL and ALERT_WEBHOOK_SECRET go together; one of them is not set']
  }
  if (url === undefined) return []
  const { protocol, hostname } = new URL(url)
  const address = hostname.replace(/^\[|\]$/g, '')
  const reach = isIP(address) === 0 ? undefined : reachOf(address)
  if (reach === 'never') return ['ALERT_WEBHOOK_URL leads to an address that no notice is sent to']
  if (reach === 'private' && !allows) {
    return ['ALERT_WEBHOOK_URL leads to a private address; ALERT_WEBHOOK_ALLOW_PRIVATE=true allows that']
  }
  if (protocol === 'http:' && (!allows || reach === 'public')) {
    return [
      'ALERT_WEBHOOK_URL must be https; http is for private addresses, with ALERT_WEBHOOK_ALLOW_PRIVATE=true',
    ]
  }
  return []
}

function defaultPublicUrl(host: string, port: number, secure: boolean): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : isIP(host) === 6 ? `[${host}]` : host
  return `${secure ? 'https' : 'http'}://${name}:${port}`
}

function faultsInProduction(given: Given): string[] {
  const missing = ['MASTER_KEY', 'ADMIN_KEY', 'PUBLIC_URL'].filter((name) => given[name] === undefined)
  const sandbox =
    given.SANDBOX === 'true' ? ['SANDBOX takes secrets from browsers and is refused in production'] : []
  if (missing.length === 0) return sandbox
  return [
    ...sandbox,
    `${missing.join(', ')} must be set in production; \`jeton secrets create\` prints the secret ones, ready for .env`,
  ]
}

const SECRET_VARIABLES = [
  'DATABASE_URL',
  'REDIS_URL',
  'MASTER_KEY',
  'ADMIN_KEY',
  'ALERT_WEBHOOK_URL',
  'ALERT_WEBHOOK_SECRET',
] as const

/** `X_FILE` names a file that holds `X`. Both at once would leave open which one counts. */
function readSecretFiles(env: Given, faults: string[]): Record<string, string> {
  const read: Record<string, string> = {}
  for (const name of SECRET_VARIABLES) {
    const path = env[`${name}_FILE`]
    if (path === undefined) continue
    if (env[name] !== undefined) faults.push(`${name} and ${name}_FILE are both set; keep one`)
    const text = readText(`${name}_FILE`, path, faults)?.trim()
    if (text !== undefined) read[name] = text
  }
  return read
}
