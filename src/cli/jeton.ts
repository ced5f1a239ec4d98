import { Command } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { StartError } from '../config.ts'
import { JetonError } from '../domain/errors.ts'
import { environmentCommands } from './environments.ts'
import { keyCommands } from './keys.ts'
import { secretCommands } from './secrets.ts'
import { serveCommand } from './serve.ts'

const program = new Command('jeton')
  .description('Mints short-lived tokens for realtime apps.')
  .version(packageJson.version)
  .showHelpAfterError()

serveCommand(program)
secretCommands(program)
environmentCommands(program)
keyCommands(program)

try {
  await program.parseAsync()
} catch (error) {
  const expected = error instanceof StartError || error instanceof JetonError
  process.stderr.write(`${expected ? error.message : error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
}
