import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// As in main.ts, and before anything else is loaded: most of a command's time is that.
enableCompileCache(join(import.meta.dirname, '../../node_modules/.cache/node'))

const { runProgram } = await import('./program.ts')
await runProgram()
