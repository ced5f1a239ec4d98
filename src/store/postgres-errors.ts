import { DatabaseError } from 'pg'
import { JetonError } from '../domain/errors.ts'
import { StoreError } from './migrate.ts'

// SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
const UNIQUE_VIOLATION = '23505'
/** A lock was waited for too long, a statement took too long, or two transactions waited for each other. */
const IN_THE_WAY = ['55P03', '57014', '40P01', '40001']
/** What a statement may be to blame for: bad data, a broken constraint, a mistake in its text. */
const OUR_OWN = /^(21|22|23|42)/
/** These begin with 42 as well. The rights were taken away, or the tables are being put back from a backup. */
const TAKEN_AWAY = ['42501', '42P01']
/** The connection has ended, or leads to a server that takes no changes any more: another one may lead to a better one. */
const CONNECTION_LOST = /^(08|57P|58|XX|25P03|25P04|25006)/

const AFTER_A_FAILURE = '25P02'

export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === UNIQUE_VIOLATION
}

/** Whether an error only says that an earlier statement of the same transaction has failed. */
export function isAftermath(error: unknown): boolean {
  return codeOf(error) === AFTER_A_FAILURE
}

/** Whether a connection that gave this error is to be given up. */
export function losesConnection(error: unknown): boolean {
  const code = codeOf(error)
  return code === undefined || CONNECTION_LOST.test(code)
}

/** Makes `store_unavailable` of what the database, or the way there, is to blame for. Nothing was changed by then. */
export function toUnavailable(error: unknown): unknown {
  const code = codeOf(error)
  if (code !== undefined && OUR_OWN.test(code) && !TAKEN_AWAY.includes(code)) return error
  const message =
    code !== undefined && IN_THE_WAY.includes(code)
      ? 'The database is being written to by others for too long. This change was not made. Try again soon.'
      : 'The database cannot be used at the moment. Nothing was changed. Try again soon.'
  return new JetonError('store_unavailable', message, { retryAfterSeconds: 1, cause: error })
}

const UNCERTAIN =
  'The database went away while this change was being written. It may have been made: look before you try again.'

/**
 * What an error of `commit` says. PostgreSQL may have written the change and lost its answer, so that only an answer
 * that comes over a living connection says that it has not.
 */
export function toUncertain(error: unknown): unknown {
  if (!losesConnection(error)) return toUnavailable(error)
  return new JetonError('store_unavailable', UNCERTAIN, { cause: error })
}

/** Why a start cannot use the database, in one line. */
export function toStoreError(error: unknown, name: string): unknown {
  const cause = error instanceof JetonError ? error.cause : error
  const isFault = error instanceof JetonError || codeOf(cause) !== undefined
  if (!isFault || !(cause instanceof Error)) return error
  const sentences = [`The database ${name} cannot be used: ${reasonOf(cause)}.`, hintOf(cause)]
  const end = error instanceof JetonError && error.message === UNCERTAIN ? UNCERTAIN : 'Nothing was changed.'
  return new StoreError([...sentences, end].filter((sentence) => sentence !== undefined).join(' '), { cause })
}

function reasonOf(error: Error): string {
  if (/time-?out|timeout expired/i.test(error.message)) return 'it does not answer in time'
  // An address with several numbers fails once for each, and Node puts all that together without a text.
  const text = error.message === '' && 'code' in error ? String(error.code) : error.message
  return text.replace(/\p{Cc}/gu, ' ').replace(/\.$/, '')
}

function hintOf(error: Error): string | undefined {
  const code = 'code' in error ? String(error.code) : ''
  if (code === '28P01' || code === '28000' || /password must be/.test(error.message)) {
    return 'Check the user and the password in DATABASE_URL, and what pg_hba.conf lets in.'
  }
  if (code === '3D000') return 'Create it, or check DATABASE_URL.'
  if (code === '42501') return 'Its user has to own the schema, or to be granted USAGE and CREATE on it.'
  if (code === '25006') return 'Name the primary server, not a standby.'
  if (/does not support SSL/.test(error.message)) return 'Turn TLS on there, or take sslmode out.'
  if (/CERT|SIGNATURE/.test(code)) {
    return 'Name the certificate of the authority that signed the server’s as sslrootcert, and the host as the certificate names it.'
  }
  return undefined
}

function codeOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined
}
