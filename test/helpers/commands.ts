import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

/** What a program said and how it ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command to run: the program's file, and what it is given. */
export interface Order {
  readonly path: string
  readonly args: readonly string[]
  readonly env: Record<string, string>
}

/** What the host answers. `isLast`: it ends with this command, as the command would have ended its own process. */
export interface Answer extends Ended {
  readonly isLast: boolean
}

let host: ChildProcess | undefined
let settle: PromiseWithResolvers<Answer> | undefined
let last: Promise<unknown> = Promise.resolve()

/** Runs a command in the host process of this test file, behind those that were ordered before. */
export function runInHost(order: Order): Promise<Ended> {
  const ended = last.then(() => send(order))
  last = ended.catch(() => undefined)
  return ended
}

async function send(order: Order): Promise<Ended> {
  host ??= startHost(order.env)
  settle = Promise.withResolvers()
  host.channel?.ref()
  host.send(order)
  const { isLast, ...ended } = await settle.promise
  if (isLast) host = undefined
  // It must not keep the tests from ending.
  else host.channel?.unref()
  return ended
}

function startHost(env: Record<string, string>): ChildProcess {
  const child = fork(join(import.meta.dirname, 'command-host.ts'), { env, stdio: ['ignore', 2, 2, 'ipc'] })
  child.unref()
  child.on('message', (answer: Answer) => {
    if (host === child) settle?.resolve(answer)
  })
  child.on('exit', () => {
    if (host !== child) return
    host = undefined
    settle?.reject(new Error('The process that runs commands has ended'))
  })
  return child
}
