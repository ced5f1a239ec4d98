import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

/**
 * Runs the server until a signal ends it.
 *
 * @throws StartError when it cannot start
 */
export async function serve(): Promise<void> {
  const server = await import('./serve.ts')
  await server.serve()
}

if (import.meta.main) {
  keepCompiled()
  try {
    await serve()
  } catch (error) {
    // One line for what the operator can mend; the whole story for what only we can.
    process.stderr.write(`${isStartError(error) ? error.message : format(error)}\n`)
    process.exitCode = 1
  }
}

// What Node compiles is kept beside the packages, where the tests keep it as well, and a quarter of the next start is saved.
// Whoever can write there can change the program itself. Where nobody can, as in the image, nothing is kept but what is
// there already. NODE_COMPILE_CACHE names another place, NODE_DISABLE_COMPILE_CACHE=1 keeps nothing.
function keepCompiled(): void {
  enableCompileCache(join(import.meta.dirname, '../node_modules/.cache/node'))
}

// By its name: config.ts, which has the class, is not to be loaded before what it compiles to is kept.
function isStartError(error: unknown): error is Error {
  return error instanceof Error && error.name === 'StartError'
}

function format(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
