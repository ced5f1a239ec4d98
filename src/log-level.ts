import { type Logger, levels } from 'pino'
import type { LogLevel } from './config.ts'

/** The level of the log, which can be changed while the process runs. Records of tokens are no lines of it. */
export interface LogLevels {
  /** The one that the process was started with. */
  readonly configured: LogLevel
  current(): LogLevel
  /** Changes it until the process ends. `by` is told in the log, in whichever of both levels says more. */
  change(level: LogLevel, by: object): void
  /** Changes between `debug` and the configured level; where that is `debug`, between it and `info`. */
  toggle(by: object): void
}

export function createLogLevels(log: Logger, configured: LogLevel): LogLevels {
  let level = configured
  return { configured, current: () => level, change, toggle }

  function toggle(by: object): void {
    const quiet = configured === 'debug' ? 'info' : configured
    change(level === 'debug' ? quiet : 'debug', by)
  }

  function change(to: LogLevel, by: object): void {
    const from = level
    const louder = severityOf(to) < severityOf(from) ? to : from
    level = to
    log.level = louder
    // One that is quieter than info must not hide that it came.
    const shown = severityOf(louder) > severityOf('info') ? louder : 'info'
    if (shown !== 'silent') log[shown]({ from, to, ...by }, 'log level changed')
    log.level = to
  }
}

function severityOf(level: LogLevel): number {
  return levels.values[level] ?? Number.POSITIVE_INFINITY
}
