import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
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

/** The time of all cores since the machine started, and what of it the host gave to other machines, in the same unit. */
export interface CoreTime {
  readonly all: number
  readonly stolen: number
}

/** What Linux says about all cores: proc_stat(5). */
export function coreTime(): CoreTime {
  // user, nice, system, idle, iowait, irq, softirq, steal; the two behind them are counted in these already.
  const line = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  const times = line.split(' ').slice(0, 8).map(Number)
  return { all: times.reduce((sum, time) => sum + time, 0), stolen: times[7] ?? 0 }
}
