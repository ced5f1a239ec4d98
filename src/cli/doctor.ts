import type { Command } from 'commander'
import { examine } from '../doctor/doctor.ts'
import { systemSeams } from '../seams.ts'
import { type OutputOptions, print } from './output.ts'

/** `jeton doctor` */
export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('say what about this installation needs mending, and how; changes nothing')
    .option('--json', 'print one line of JSON')
    .action(doctor)
}

async function doctor({ json }: OutputOptions): Promise<void> {
  const checks = await examine(systemSeams)
  if (checks.some(({ state }) => state === 'mend')) process.exitCode = 1
  if (json) {
    print(JSON.stringify({ checks }))
    return
  }
  for (const { state, what, how } of checks) {
    print([state.padEnd(4), what, how].filter((part) => part !== undefined).join('  '))
  }
}
