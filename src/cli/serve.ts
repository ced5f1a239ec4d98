import type { Command } from 'commander'

/** `jeton serve` */
export function serveCommand(program: Command): void {
  program.command('serve').description('run the server until a signal ends it').action(serve)
}

// The server is most of this program, and every other command would wait for it to be read.
async function serve(): Promise<void> {
  const main = await import('../main.ts')
  await main.serve()
}
