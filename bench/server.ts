import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onCore } from './cores.ts'

/** A server process of its own on a free port. */
export interface BenchServer {
  readonly url: string
  /** From the start of the process until it listened. */
  readonly startMs: number
  /** What the processor has spent on it until now, on all of its cores. */
  processorMs(): Promise<number>
  /** What it holds now. */
  memory(): Promise<Memory>
  /** What it holds once that has stopped changing. */
  settledMemory(): Promise<Memory>
  stop(): Promise<void>
}

/** Of a process, in megabytes (10^6 bytes). */
export interface Memory {
  readonly residentMegabytes: number
  /** The most that it ever held. */
  readonly highestMegabytes: number
}

/** Jeton's server. */
export const MAIN = join(import.meta.dirname, '../src/main.ts')
/** What `npm start` tells V8, which Node takes on its command line alone. */
const STARTED_WITH = startFlag()
/** A program of contestants/. */
export function contestant(file: string): string {
  return join(import.meta.dirname, 'contestants', file)
}
/** Jeton's server without some of its parts. */
export const JETON_IN_PARTS = contestant('jeton-in-parts.ts')
/** What Jeton is compared with: the framework that it is written in. */
export const BARE_FASTIFY = contestant('bare-fastify.ts')

/** A program that does not listen by then never will. */
const START_WITHIN_MS = 60_000
const LOOK_EVERY_MS = 500
/** As many looks with less than a megabyte between them mean that memory has settled. */
const QUIET_LOOKS = 6
const MOST_LOOKS = 60
/** The unit in which Linux tells programs about processor time, on every machine of today. */
const TICK_MS = 10

/**
 * Starts a program that serves, on a core of its own and with these environment variables alone, and waits until it
 * listens.
 *
 * @throws Error with what it said, if it ends before, or takes too long
 */
export async function startServer(
  env: Readonly<Record<string, string>>,
  program = MAIN,
): Promise<BenchServer> {
  const from = performance.now()
  // Jeton is measured as it is run, and the others as they are.
  const flags = program === MAIN || program === JETON_IN_PARTS ? [STARTED_WITH] : []
  const child = spawn(...onCore('server', process.execPath, [...flags, program]), {
    env: { PATH: process.env.PATH, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const patience = setTimeout(() => child.kill(), START_WITHIN_MS)
  const url = await new Promise<string>((resolve, reject) => {
    let said = ''
    const listen = (chunk: Buffer) => {
      said += chunk
      const found = /Server listening at (\S+?)"/.exec(said)?.[1]
      if (found === undefined) return
      // More lines follow, which must be taken off the pipe and are looked at by nobody.
      child.stdout.off('data', listen).resume()
      resolve(found)
    }
    child.stdout.on('data', listen)
    ended.then(() => reject(new Error(`The server did not start: ${said}`)), reject)
  })
  const startMs = performance.now() - from
  clearTimeout(patience)
  return {
    url,
    startMs,
    processorMs: () => processorMsOf(child.pid),
    memory: () => memoryOf(child.pid),
    settledMemory: () => settledMemory(child.pid),
    async stop() {
      // A server of a bench has nothing to finish, and SIGINT waits for nothing.
      child.kill('SIGINT')
      await ended
    },
  }
}

function startFlag(): string {
  const manifest = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8')
  const flag = /--initial-[\w=-]+/.exec(manifest)?.[0]
  if (flag === undefined) throw new Error('npm start tells V8 nothing')
  return flag
}

async function settledMemory(pid: number | undefined): Promise<Memory> {
  let settled = await memoryOf(pid)
  let quiet = 0
  for (let look = 0; look < MOST_LOOKS && quiet < QUIET_LOOKS; look += 1) {
    await sleep(LOOK_EVERY_MS)
    const now = await memoryOf(pid)
    if (Math.abs(now.residentMegabytes - settled.residentMegabytes) < 1) quiet += 1
    else {
      settled = now
      quiet = 0
    }
  }
  return await memoryOf(pid)
}

/** What Linux says about a process: proc_pid_status(5). */
async function memoryOf(pid: number | undefined): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const megabytes = (name: string) =>
    (Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6
  return { residentMegabytes: megabytes('VmRSS'), highestMegabytes: megabytes('VmHWM') }
}

/** What Linux says about a process: proc_pid_stat(5). */
async function processorMsOf(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // After the program's name, which is in brackets and may hold anything, field 3 comes first.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [userTicks, systemTicks] = [fields[14 - 3], fields[15 - 3]]
  return (Number(userTicks) + Number(systemTicks)) * TICK_MS
}
