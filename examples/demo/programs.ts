import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '../..')
/** Each of the programs says this in its own words. */
const LISTENING = /listening at (\w+:\/\/[^\s"]+)/i
const END_WITHIN_MS = 10_000

/** A program of this repository that runs beside us. */
export interface Program {
  readonly file: string
  /** Where it listens. Rejected when it ends before it does. */
  readonly url: Promise<string>
  /** The end of what it said, once it has ended. */
  readonly ended: Promise<string>
  stop(): Promise<void>
}

export function startProgram(file: string, env: Readonly<Record<string, string>>): Program {
  const child = spawn(process.execPath, [join(ROOT, file)], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a group of its own, or a terminal would send its ^C to all at once, and ours would be the second.
    detached: true,
  })
  let said = ''
  const listening = Promise.withResolvers<string>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_096)
      const [, url] = LISTENING.exec(said) ?? []
      if (url !== undefined) listening.resolve(url)
    })
  }
  const ended = new Promise<string>((resolve) => child.once('close', () => resolve(said)))
  ended.then(() => listening.reject(new Error(`${file} did not start:\n${said}`)))
  return { file, url: listening.promise, ended, stop }

  async function stop(): Promise<void> {
    // As ^C does: Jeton would wait for a balancer after SIGTERM.
    child.kill('SIGINT')
    const patience = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS)
    await ended
    clearTimeout(patience)
  }
}

/** Runs a program of this repository to its end. */
export async function runToEnd(file: string, args: readonly string[]): Promise<{ stdout: string }> {
  return await promisify(execFile)(process.execPath, [join(ROOT, file), ...args], {
    env: { PATH: process.env.PATH },
  })
}
