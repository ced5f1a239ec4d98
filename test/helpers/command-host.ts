// Runs one command after another in a process that loads the program once: most of a command's time is loading. The
// commands are as they always are, each with its own arguments, environment variables and outputs.
import { pathToFileURL } from 'node:url'
import type { Answer, Order } from './commands.ts'

/** Thrown where a command ends its process: nothing of it goes on. */
class Exit extends Error {}

let said = { stdout: '', stderr: '' }
let orders = 0
let hasEnded = false

for (const name of ['stdout', 'stderr'] as const) {
  process[name].write = (chunk: string | Uint8Array) => {
    said = { ...said, [name]: said[name] + String(chunk) }
    return true
  }
}

// commander ends the process for a usage error, or behind its help.
process.exit = (code) => {
  answer({ code: Number(code ?? process.exitCode ?? 0), ...said, isLast: true })
  throw new Exit()
}

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error: unknown) => {
    if (!(error instanceof Exit)) answer({ code: 1, ...said, stderr: `${said.stderr}${error}`, isLast: true })
  })
}

process.on('message', async ({ path, args, env }: Order) => {
  said = { stdout: '', stderr: '' }
  process.exitCode = undefined
  process.argv.splice(1, process.argv.length, path, ...args)
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, env)
  orders += 1
  // The entry alone is evaluated anew; what it imports is there already.
  await import(`${pathToFileURL(path)}?order=${orders}`)
  answer({ code: Number(process.exitCode ?? 0), ...said, isLast: false })
})

// What a command still does behind its end would not have happened in a process of its own.
function answer(answered: Answer): void {
  if (hasEnded) return
  hasEnded = answered.isLast
  process.send?.(answered, undefined, undefined, () => {
    if (answered.isLast) process.kill(process.pid, 'SIGKILL')
  })
}
