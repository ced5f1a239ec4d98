import { z } from 'zod'
import { isAddressOrRange } from './domain/address.ts'
import { kindOfKey } from './domain/api-key.ts'
import type { Limit } from './domain/limit.ts'

const SECONDS = { s: 1, m: 60, h: 3600 } as const

/** `count/window`, the window in seconds, minutes or hours. */
export const limit = z.string().transform((text, context): Limit => {
  const found = /^([1-9]\d{0,6})\/([1-9]\d{0,3})([smh])$/.exec(text)
  const unit = found?.[3]
  if (found === null || (unit !== 's' && unit !== 'm' && unit !== 'h')) {
    context.addIssue('must be a count of at most 9999999 and a window of at most 9999 s, m or h, like 10/1m')
    return z.NEVER
  }
  return { count: Number(found[1]), windowSeconds: Number(found[2]) * SECONDS[unit] }
})

export const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true')
export const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be a whole number from ${least} to ${most}`)

const list = z.string().transform((text) => text.split(',').map((entry) => entry.trim()))

/** Addresses and ranges whose `X-Forwarded-*` is believed. */
export const proxies = list.refine(
  (entries) => entries.every(isProxyRange),
  'must be a comma-separated list of IP addresses and CIDR ranges, none wider than /8 (IPv4) or /16 (IPv6): anything wider, a number or "true" would trust strangers',
)

export const origins = list.refine(
  (entries) => entries.every((entry) => URL.canParse(entry) && new URL(entry).origin === entry),
  'must be a comma-separated list of origins, like https://app.example.com',
)

/** Without a slash at its end. */
export const publicUrl = z
  .string()
  .refine(isHttpUrl, 'must be an http or https URL without a query or a fragment')
  .transform((text) => text.replace(/\/+$/, ''))

/** One or two keys of 32 bytes: the first one seals. */
export const masterKeys = list.transform((texts, context): readonly Uint8Array[] => {
  const keys = texts.map((text) => Buffer.from(text, 'base64'))
  if (!keys.every((key, index) => key.length === 32 && key.toString('base64') === texts[index])) {
    context.addIssue('must be 32 bytes in base64, as `jeton secrets create` prints them')
  } else if (keys.length > 2 || new Set(texts).size < texts.length) {
    context.addIssue(
      'must be one key, or while it changes two different ones: the new one, a comma, the old one',
    )
  }
  return keys
})

export const adminKeys = list.refine(
  (entries) => entries.every((text) => kindOfKey(text) === 'admin'),
  'must be an admin key as `jeton secrets create` prints it, or several with commas between them',
)

/** The least and the most that Standard Webhooks takes for a secret. */
const LEAST_SECRET_BYTES = 24
const MOST_SECRET_BYTES = 64

/** One or two secrets: both sign while the secret changes. */
export const webhookSecrets = list.transform((texts, context): readonly Uint8Array[] => {
  const bare = texts.map((text) => text.replace(/^whsec_/, ''))
  const secrets = bare.map((text) => Buffer.from(text, 'base64'))
  const areSecrets = secrets.every(
    (secret, index) =>
      secret.length >= LEAST_SECRET_BYTES &&
      secret.length <= MOST_SECRET_BYTES &&
      secret.toString('base64') === bare[index],
  )
  if (!areSecrets || secrets.length > 2) {
    context.addIssue(
      `must be ${LEAST_SECRET_BYTES} to ${MOST_SECRET_BYTES} bytes in base64, with or without whsec_ in front; or while it changes two of them, with a comma`,
    )
  }
  return secrets
})

// What is wrong with it is told without repeating it: a password may stand in it.
const serverUrl = (schemes: readonly string[], example: string) =>
  z.string().refine((text) => isServerUrl(text, schemes), `must be a URL like ${example}`)

export const databaseUrl = serverUrl(
  ['postgres:', 'postgresql:'],
  'postgres://user:password@host:5432/database',
)
export const redisUrl = serverUrl(['redis:', 'rediss:'], 'redis://:password@host:6379').refine(
  isBareRedisUrl,
  'may have the number of a database behind the host, like redis://host:6379/0, and nothing else; a % in the password is written %25',
)

/** It may hold a user and a password. */
export const webhookUrl = z
  .string()
  .refine(isWebhookUrl, 'must be an https URL without a fragment; a % in its user or password is written %25')

function isWebhookUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hash, username, password } = new URL(text)
  return (
    (protocol === 'https:' || protocol === 'http:') &&
    hash === '' &&
    isEncoded(username) &&
    isEncoded(password)
  )
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const bare = url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  return bare && (url.protocol === 'http:' || url.protocol === 'https:')
}

// Two halves of the Internet would trust everyone as well as a /0 does.
function isProxyRange(text: string): boolean {
  const bits = Number(text.split('/')[1] ?? 128)
  return isAddressOrRange(text) && bits >= (text.includes(':') ? 16 : 8)
}

// The client would take any option of its own from the query, before those that a limit rests on.
function isBareRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return true
  const { pathname, search, username, password } = new URL(text)
  return /^(\/\d{0,5})?$/.test(pathname) && search === '' && isEncoded(username) && isEncoded(password)
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

function isServerUrl(text: string, schemes: readonly string[]): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, hash } = new URL(text)
  return schemes.includes(protocol) && hostname !== '' && hash === ''
}
