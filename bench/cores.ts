import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** Which core is whose, so that what asks takes nothing from what answers. */
const CORES = { server: '0', load: '1' } as const

/** Whether a program of this name can be started. */
export function isInstalled(program: string): boolean {
  return spawnSync('which', [program]).status === 0
}

/** Whether servers and load are kept on a core each. */
export const arePinned = availableParallelism() > 1 && isInstalled('taskset')

/** The same command, kept on one core where that is possible. It becomes that process: the process id stays. */
export function onCore(
  whose: keyof typeof CORES,
  command: string,
  args: readonly string[],
): [string, string[]] {
  return arePinned ? ['taskset', ['-c', CORES[whose], command, ...args]] : [command, [...args]]
}
