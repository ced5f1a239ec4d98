import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'

/** A PostgreSQL server for tests. */
export interface Postgres {
  /** Its URL, as a superuser where it is our own. */
  readonly url: string
  /** Makes an empty schema, and gives a URL that leads there: a database for one test alone. */
  schema(): Promise<string>
  /** Runs one statement, in the schema of a URL or else where the server's own leads. */
  query(text: string, url?: string): Promise<readonly Record<string, unknown>[]>
}

/** One of our own, which can be stopped and started. */
export interface OwnPostgres extends Postgres {
  /** Ends it: `fast` cuts every connection off, `immediate` is a crash. Its data stays. */
  stop(how?: 'fast' | 'immediate'): Promise<void>
  /** Starts it again, on the same port. */
  start(): Promise<void>
  /** Lets it hang, and go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** Lets it speak TLS, with a certificate and its key. */
  encrypt(files: { readonly cert: string; readonly key: string }): Promise<void>
  /** Ends it for good, and removes its data. */
  end(): Promise<void>
}

const given = process.env.TEST_POSTGRES_URL
const STARTS_WITHIN_MS = 30_000
const PASSWORD = 'test'

// It ends the server and removes its data when this process is gone, however that went: its standard input ends then.
const KEEPER =
  'folder=$1; shift; "$@" & server=$!; if read -r signal; then kill -"$signal" $server; wait $server; ' +
  'else kill -QUIT $server; wait $server; rm -rf "$folder"; fi'

/** Where a data folder is kept that was initialised once: to copy it costs a tenth of making it. */
const KEPT = join(import.meta.dirname, '../../node_modules/.cache')

/** Why tests over PostgreSQL are left out; `false` when they are not. Under CI its absence is a failure. */
export const withoutPostgres: string | false =
  given === undefined && !process.env.CI && findProgram('postgres') === undefined
    ? 'PostgreSQL is not installed, and TEST_POSTGRES_URL not set'
    : false

/** The same for tests that stop and start the server, which only our own may be. */
export const withoutOwnPostgres: string | false =
  !process.env.CI && findProgram('postgres') === undefined ? 'PostgreSQL is not installed' : false

/** The same URL with another password, whatever its own is. */
export function withPassword(url: string, password: string): string {
  return Object.assign(new URL(url), { password }).href
}

/** A server for the whole test file: the one of TEST_POSTGRES_URL or else one of our own, which ends with the file. */
export function usePostgres(): Postgres {
  let server: Postgres | undefined
  let end = async () => {}
  before(async () => {
    if (withoutPostgres !== false) return
    if (given === undefined) {
      const own = await startPostgres()
      end = own.end
      server = own
    } else {
      const made: string[] = []
      server = clientsOf(given, made)
      // One after the other: a server of somebody else's may not have a connection for each.
      end = async () => {
        for (const name of made) await ask(given, `drop schema ${name} cascade`)
      }
    }
  })
  after(() => end())
  const running = () => {
    if (server === undefined) throw new Error('The server starts before the first test')
    return server
  }
  return {
    get url() {
      return running().url
    },
    schema: () => running().schema(),
    query: (text, there) => running().query(text, there),
  }
}

/** Starts a server of our own, on a free port of loopback, with its data in a temporary folder. */
export async function startPostgres(): Promise<OwnPostgres> {
  const program = findProgram('postgres')
  if (program === undefined) throw new Error('PostgreSQL is not installed')
  const folder = await mkdtemp(join(tmpdir(), 'jeton-postgres-'))
  const user = ordinaryUser()
  const data = join(folder, 'data')
  initialise(dirname(program), folder, data, user)
  const port = await freePort()
  const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  let keeper: ChildProcess | undefined
  await start()
  return { ...clientsOf(url, []), stop, start, signal, encrypt, end }

  async function start(): Promise<void> {
    // Nothing here has to outlive a loss of power, and every sync costs.
    const settings = {
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: '',
      fsync: 'off',
      full_page_writes: 'off',
      shared_buffers: '32MB',
      lc_messages: 'C',
    }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    keeper = spawn('sh', ['-c', KEEPER, 'sh', folder, program ?? '', '-D', data, ...options], {
      ...user,
      cwd: folder,
      env: { PATH: process.env.PATH ?? '' },
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    let said = ''
    keeper.stderr?.on('data', (chunk) => {
      said += chunk
    })
    keeper.unref()
    await answers(url, () => said)
  }

  async function stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    if (keeper === undefined || keeper.exitCode !== null) return
    const ended = once(keeper, 'exit')
    keeper.stdin?.end(how === 'fast' ? 'INT\n' : 'QUIT\n')
    await ended
  }

  function signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    const [first] = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
    const postmaster = Number(first)
    const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(postmaster)], { encoding: 'utf8' })
    process.kill(postmaster, name)
    for (const pid of stdout.split('\n').map(Number)) if (pid > 0) signalIfThere(pid, name)
  }

  async function encrypt({ cert, key }: { readonly cert: string; readonly key: string }): Promise<void> {
    for (const [name, from] of [
      ['server.crt', cert],
      ['server.key', key],
    ] as const) {
      const path = join(data, name)
      writeFileSync(path, readFileSync(from), { mode: 0o600 })
      if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid)
    }
    await ask(url, 'alter system set ssl = on')
    await stop()
    await start()
  }

  async function end(): Promise<void> {
    await stop('immediate')
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

// One that served a connection may have ended since it was listed. If that threw, the server would stay stopped.
function signalIfThere(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function clientsOf(url: string, made: string[]): Postgres {
  return {
    url,
    async schema() {
      const name = `jeton_test_${process.pid}_${made.length}`
      made.push(name)
      await ask(url, `create schema ${name}`)
      return `${url}${url.includes('?') ? '&' : '?'}options=-c%20search_path%3D${name}`
    },
    query: (text, there = url) => ask(there, text),
  }
}

async function ask(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client(url)
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  } finally {
    await client.end()
  }
}

// Sorts text as English does, not by its bytes, where it can: what relies on the order has to say so.
function initialise(
  programs: string,
  folder: string,
  data: string,
  user: { uid?: number; gid?: number },
): void {
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, PASSWORD)
  if (user.uid !== undefined && user.gid !== undefined) {
    for (const path of [folder, passwordFile]) chownSync(path, user.uid, user.gid)
  }
  const program = join(programs, 'initdb')
  const version = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout
  const isModern = Number(/(\d+)/.exec(version)?.[1]) >= 15
  const order = isModern ? ['--locale-provider=icu', '--icu-locale=en-US'] : []
  const how = [
    '--no-sync',
    '--username=postgres',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    ...order,
  ]
  const kind = createHash('sha256')
    .update([version, PASSWORD, user.uid, ...how].join())
    .digest('hex')
    .slice(0, 12)
  const kept = join(KEPT, `postgres-${kind}`)
  // Owners and modes are kept: PostgreSQL insists on both.
  if (spawnSync('cp', ['-Rp', kept, data]).status === 0) return
  rmSync(data, { recursive: true, force: true })
  const args = [...how, `--pwfile=${passwordFile}`, `--pgdata=${data}`]
  const options = { ...user, cwd: folder, env: { PATH: process.env.PATH ?? '' }, encoding: 'utf8' } as const
  const made = spawnSync(program, args, options)
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error ?? made.stderr}`)
  keep(data, kept)
}

// Under its name only when it is whole. Of several that do it at once one is kept, and where none can be it is made anew.
function keep(data: string, kept: string): void {
  const unfinished = `${kept}.${process.pid}`
  try {
    mkdirSync(KEPT, { recursive: true })
    if (spawnSync('cp', ['-Rp', data, unfinished]).status === 0) renameSync(unfinished, kept)
  } catch {
    // Another one was first, or nothing can be written there.
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

// PostgreSQL refuses to run as root.
function ordinaryUser(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL needs a user that is not root: postgres or nobody')
}

function findProgram(name: string): string | undefined {
  const folders = [
    ...globSync('/usr/lib/postgresql/*/bin').sort().reverse(),
    ...(process.env.PATH ?? '').split(delimiter),
  ]
  return folders
    .map((folder) => join(folder, name))
    .find((path) => spawnSync(path, ['--version']).status === 0)
}

async function answers(url: string, said: () => string): Promise<void> {
  const until = performance.now() + STARTS_WITHIN_MS
  for (;;) {
    try {
      await ask(url, 'select 1')
      return
    } catch (cause) {
      if (performance.now() > until) {
        throw new Error(`PostgreSQL did not start:\n${said()}`, { cause })
      }
      await pause(20)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No port was given')
  return address.port
}
