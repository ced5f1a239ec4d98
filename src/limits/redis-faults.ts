import { errorCode } from '../domain/error-code.ts'

/** What keeps a start from going on: the operator has to mend it. Its message holds no secret. */
export class RedisError extends Error {
  override readonly name = 'RedisError'
}

/** Redis has not answered in time. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError'

  constructor() {
    super('Redis has not answered in time')
  }
}

/** The word that a refusal by Redis begins with, like `NOSCRIPT` or `OOM`. */
export function wordOf(error: unknown): string | undefined {
  return error instanceof Error ? /^[A-Z]+\b/.exec(error.message)?.[0] : undefined
}

/**
 * Why Redis failed, in a few words for the log. The errors themselves must not get there: they hold the commands that
 * failed, and the first one of a connection has the password.
 */
export function reasonOf(error: unknown): string {
  const code = errorCode(error)
  if (code !== undefined) return code
  if (error instanceof SilenceError) return 'no answer in time'
  if (error instanceof RedisError) return error.message
  if (isForeign(error)) return 'not the protocol of Redis'
  const word = wordOf(error)
  // Up to a comma, behind which Redis repeats what was sent.
  if (word === 'ERR' && error instanceof Error) return error.message.split(',', 1).join('').slice(0, 80)
  return word ?? 'not connected'
}

/**
 * What is wrong with REDIS_URL, or with the server that it names: a fault that stays until somebody mends it.
 * `undefined` for what can pass by itself, such as a server that is away, is still loading, or is full.
 */
export function faultOf(error: unknown): string | undefined {
  if (error instanceof RedisError) return error.message
  const code = errorCode(error)
  if (code === 'ENOTFOUND') return 'there is no host of this name'
  if (code !== undefined && TLS_FAULT.test(code)) return `TLS fails (${code})`
  if (isForeign(error)) return 'what answers there is no Redis'
  if (!(error instanceof Error)) return undefined
  if (/^(WRONGPASS|NOAUTH|ERR invalid password)/.test(error.message))
    return 'it refuses the user name or the password'
  if (/^NOPERM/.test(error.message)) return 'its user may not do what Jeton needs (docs/operations.md, Redis)'
  if (/^ERR (DB index|invalid DB index|SELECT is not allowed)/.test(error.message))
    return 'it has no such database'
  return undefined
}

// The codes of OpenSSL's verification and of Node's TLS.
const TLS_FAULT = /^ERR_(SSL|TLS)_|CERT|^UNABLE_TO_|^HOSTNAME_MISMATCH$|^EPROTO$/

function isForeign(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Unknown RESP type')
}
