import type { Command } from 'commander'
import { serve } from '../main.ts'

/** `jeton serve` */
export function serveCommand(program: Command): void {
  program.command('serve').description('run the server until a signal ends it').action(serve)
}
