import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before } from 'node:test'
import { type Ended, runInHost } from './commands.ts'

const ROOT = join(import.meta.dirname, '../..')

// The suite starts hundreds of processes; without this most of their time goes into reading the same sources.
const NODE_COMPILE_CACHE = resolve(process.env.NODE_COMPILE_CACHE ?? join(tmpdir(), 'jeton-compile-cache'))

/** The levels at which a server says where it listens. */
const SAYS_WHERE = ['info', 'debug', 'trace']
/** Far more than a start takes on a machine that is busy, and less than any test's own time-out. */
const LISTENS_WITHIN_MS = 90_000

/** A test, or what stands for one where several share something. */
export interface Ending {
  after(end: () => Promise<unknown>): unknown
}

/** A server process of its own, listening on a free port. */
export interface ServerProcess {
  readonly url: string
  readonly child: ChildProcess
  stdout(): string
  stderr(): string
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>
}

/** Makes something once for all tests of a suite or file, and ends it behind them. */
export function shared<T>(make: (t: Ending) => Promise<T>): () => T {
  const ending: (() => Promise<unknown>)[] = []
  let made: { readonly it: T } | undefined
  before(async () => {
    made = { it: await make({ after: (end) => ending.push(end) }) }
  })
  after(async () => {
    for (const end of ending) await end()
  })
  return () => {
    if (made === undefined) throw new Error('It is there once the tests run')
    return made.it
  }
}

/** A folder that is removed when the test ends. */
export async function temporaryFolder(t: Ending): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'jeton-test-'))
  // Hooks run in the order in which they were set: a server may still be writing here.
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/**
 * Runs a command line to its end, in a process beside this one that has loaded the program before. Commands come one
 * after another there; a test about two at once, or about how a process ends, needs `runApart`.
 */
export function run(
  file: 'cli/jeton.ts',
  args: readonly string[],
  env: Record<string, string>,
): Promise<Ended> {
  return runInHost({ path: join(ROOT, 'src', file), args, env: environmentOf(env) })
}

/** Runs a file of src/ to its end, in a process of its own. */
export async function runApart(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  stdout: 'pipe' | number = 'pipe',
): Promise<Ended> {
  const child = start(file, args, env, stdout)
  const output = collect(child)
  const [code] = await once(child, 'close')
  return { code, ...output() }
}

/**
 * Runs a command line and kills it, with no warning, so many milliseconds after it first changed something in a folder.
 *
 * @returns how long it went on from there
 */
export async function runAndKill(
  args: readonly string[],
  env: Record<string, string>,
  folder: string,
  afterMs = Number.POSITIVE_INFINITY,
): Promise<number> {
  const watching = new AbortController()
  const changed = once(watch(folder, { signal: watching.signal }), 'change')
  const child = start('cli/jeton.ts', args, env)
  const ended = once(child, 'close')
  await changed
  const changedAt = performance.now()
  const timer = Number.isFinite(afterMs) ? setTimeout(() => child.kill('SIGKILL'), afterMs) : undefined
  await ended
  clearTimeout(timer)
  watching.abort()
  return performance.now() - changedAt
}

/**
 * Starts the server and waits until it listens.
 *
 * @param user whose process it is, where this one may say so
 */
export async function startServer(
  t: Ending,
  env: Record<string, string>,
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<ServerProcess> {
  const { LOG_LEVEL = 'info' } = env
  if (!SAYS_WHERE.includes(LOG_LEVEL)) throw new Error(`With LOG_LEVEL=${LOG_LEVEL} nobody learns its port`)
  const child = start('main.ts', [], { PORT: '0', ...env }, 'pipe', user)
  const output = collect(child)
  const ended = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const url = await listening(child, output)
  return {
    url,
    child,
    stdout: () => output().stdout,
    stderr: () => output().stderr,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const [code] = await ended
      return { code, ...output() }
    },
  }
}

/** The URL that a server says it listens at. */
async function listening(child: ChildProcess, output: ReturnType<typeof collect>): Promise<string> {
  const found = Promise.withResolvers<string>()
  const look = () => {
    const url = /Server listening at (\S+?)"/.exec(output().stdout)?.[1]
    if (url !== undefined) found.resolve(url)
  }
  const fail = (what: string) => found.reject(new Error(`${what}: ${JSON.stringify(output())}`))
  const patience = setTimeout(() => fail('The server does not say that it listens'), LISTENS_WITHIN_MS)
  child.stdout?.on('data', look)
  child.once('close', () => fail('The server did not start'))
  try {
    return await found.promise
  } finally {
    clearTimeout(patience)
    child.stdout?.off('data', look)
  }
}

// The caller's own variables stay out of it, so that a test means the same everywhere.
function environmentOf(env: Record<string, string>): Record<string, string> {
  return { PATH: process.env.PATH ?? '', NODE_COMPILE_CACHE, ...env }
}

function start(
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  stdout: 'pipe' | number = 'pipe',
  user: { readonly uid?: number; readonly gid?: number } = {},
): ChildProcess {
  return spawn(process.execPath, [join(ROOT, 'src', file), ...args], {
    ...user,
    env: environmentOf(env),
    stdio: ['ignore', stdout, 'pipe'],
  })
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  return () => ({ stdout, stderr })
}
