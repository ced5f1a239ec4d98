import { Command } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { StartError } from '../config.ts'
import { JetonError } from '../domain/errors.ts'
import { backupCommands } from './backup.ts'
import { createTokenCommand } from './create-token.ts'
import { doctorCommand } from './doctor.ts'
import { environmentCommands } from './environments.ts'
import { UsageError } from './input.ts'
import { journalCommands } from './journal.ts'
import { keyCommands } from './keys.ts'
import { masterKeyCommands } from './master-key.ts'
import { migrateStoreCommand } from './migrate-store.ts'
import { outliveReaders, redact } from './output.ts'
import { secretCommands } from './secrets.ts'
import { serveCommand } from './serve.ts'
import { signingKeyCommands } from './signing-keys.ts'
import { tokenCommands } from './token.ts'
import { usageCommand } from './usage.ts'

/** Runs the command that the arguments name, to its end. */
export async function runProgram(): Promise<void> {
  const program = new Command('jeton')
    .description('Mints short-lived tokens for realtime apps.')
    .version(packageJson.version)
    .showHelpAfterError()
    // `usage` has options of its own and a command with the same ones: each takes those behind its name.
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(redact(text)) })

  serveCommand(program)
  secretCommands(program)
  environmentCommands(program)
  keyCommands(program)
  signingKeyCommands(program)
  createTokenCommand(program)
  tokenCommands(program)
  backupCommands(program)
  masterKeyCommands(program)
  migrateStoreCommand(program)
  doctorCommand(program)
  journalCommands(program)
  usageCommand(program)

  outliveReaders()
  try {
    await program.parseAsync()
  } catch (error) {
    const expected = [StartError, JetonError, UsageError].some((kind) => error instanceof kind)
    process.stderr.write(
      redact(`${error instanceof Error ? (expected ? error.message : error.stack) : String(error)}\n`),
    )
    process.exitCode = 1
  }
}
