import { readFileSync } from 'node:fs'
import type { ClientConfig } from 'pg'
import { StoreError } from './migrate.ts'

/** Where a PostgreSQL is, and how to be let in. */
export interface PostgresAddress {
  /** Host, port and database, for people: never who asks, nor a password. */
  readonly name: string
  readonly isEncrypted: boolean
  /** Whether the way there leaves this machine. */
  readonly isRemote: boolean
  readonly options: ClientConfig
}

/** What may stand behind the `?`. A misspelt `sslmode` would otherwise send everything in the clear. */
const PARAMETERS = ['host', 'options', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']
const DEFAULT_PORT = 5432

/**
 * Reads a `postgres://` URL. `sslmode` says whether to encrypt: not at all (`disable`, or left out), with the server's
 * certificate and name checked (`require`, `verify-ca`, `verify-full`, which are one here), or unchecked (`no-verify`).
 * It is read here and not by the driver, whose next version makes `require` an unchecked one.
 *
 * @throws StoreError that repeats nothing of the URL but the names of its parameters, and files
 */
export function readPostgresUrl(text: string): PostgresAddress {
  const url = new URL(text)
  const parameters = new Map(url.searchParams)
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name)) {
      throw fault(`has the parameter ${printable(name)}; only ${PARAMETERS.join(', ')} are known`)
    }
  }
  const host = parameters.get('host') ?? decode(url.hostname.replace(/^\[(.+)\]$/, '$1'))
  const database = decode(url.pathname.slice(1))
  const user = decode(url.username)
  const password = decode(url.password)
  if (user === '') throw fault('names no user')
  if (database === '') throw fault('names no database')
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  const ssl = readTls(parameters)
  const isSocket = host.startsWith('/')
  return {
    name: `${isSocket ? host : url.hostname || host}:${port}/${printable(database)}`,
    isEncrypted: ssl !== false,
    isRemote: !isSocket && !/^(localhost|127(\.\d+){3}|::1)$/.test(host),
    options: {
      host,
      port,
      user,
      // A function, so that neither PGPASSWORD nor ~/.pgpass is looked for, and no error that is logged has it in it.
      password: () => password,
      database,
      ssl,
      options: parameters.get('options'),
      application_name: 'jeton',
    },
  }
}

function readTls(parameters: ReadonlyMap<string, string>): Exclude<ClientConfig['ssl'], undefined> {
  const mode = parameters.get('sslmode')
  const files = ['sslrootcert', 'sslcert', 'sslkey'].filter((name) => parameters.has(name))
  switch (mode) {
    case undefined:
    case 'disable':
      if (files.length > 0) throw fault(`has ${files.join(', ')}, which need sslmode=verify-full`)
      return false
    case 'no-verify':
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return {
        rejectUnauthorized: mode !== 'no-verify',
        ca: readPem('sslrootcert', parameters),
        cert: readPem('sslcert', parameters),
        key: readPem('sslkey', parameters),
      }
    default:
      throw fault('has another sslmode than disable, require, verify-ca, verify-full and no-verify')
  }
}

function readPem(name: string, parameters: ReadonlyMap<string, string>): string | undefined {
  const path = parameters.get(name)
  if (path === undefined) return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw fault(`names a file as ${name} that cannot be read: ${printable(reason)}`)
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw fault('has a % that begins no escape: write it as %25')
  }
}

function fault(what: string): StoreError {
  return new StoreError(`The URL of the database ${what}. Nothing was changed.`)
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd')
}
