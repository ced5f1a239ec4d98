import { type DestinationStream, destination, type Logger, pino } from 'pino'
import type { LogLevel } from './config.ts'

/**
 * What could carry a secret if it were ever handed to the log by mistake. Nothing is meant to be: this is the net,
 * not the rule.
 */
const REDACTED = ['token', 'authorization', 'apiKey', 'secret', 'secretKey', 'headers', 'body', 'url']

/** Standard output, written without holding the event loop; `flushSync` writes the rest at the end. */
export function logToStdout() {
  return destination({ dest: 1, sync: false })
}

/** JSON lines, one object a line, times in ISO 8601. */
export function createLog(level: LogLevel, stream: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
    },
    stream,
  )
}
