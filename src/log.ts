import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DestinationStream, type Logger, pino } from 'pino'
import sonicBoom from 'sonic-boom'
import type { LogLevel } from './config.ts'

/**
 * What could carry a secret if it were ever handed to the log by mistake. Nothing is meant to be: this is the net,
 * not the rule.
 */
const REDACTED = ['token', 'authorization', 'apiKey', 'secret', 'secretKey', 'headers', 'body', 'url']

/** What may wait for a reader of the log, in bytes, before lines are dropped instead of memory being filled. */
const BACKLOG_BYTES = 8_388_608
/** How long the last lines may take when the process ends. */
const FLUSH_WITHIN_MS = 1_000

/** Standard output as the log writes it: without holding the event loop, and within bounds. */
export interface LogStream extends DestinationStream {
  /** Whether lines are being dropped because nobody reads them. */
  isStalled(): boolean
  /**
   * Writes what is left. When nobody reads it within a moment it ends the process where it stands: a write to a full
   * pipe holds its thread, and an ordinary exit would wait for that.
   */
  close(): Promise<void>
}

/**
 * Opens standard output for the log, and for the record of issued tokens with JOURNAL=stdout. When it cannot be written
 * the process ends with one line on standard error: better none than a Jeton that nobody hears of.
 */
export function openLogStream(): LogStream {
  const boom = new sonicBoom.SonicBoom({ fd: 1, sync: false, maxLength: BACKLOG_BYTES })
  let stalled = false
  boom.on('drop', () => {
    stalled = true
  })
  boom.on('drain', () => {
    stalled = false
  })
  boom.on('error', (error) => {
    writeSync(2, `The log cannot be written to standard output (${error.message}); Jeton ends.\n`)
    process.exit(1)
  })
  return {
    write: (line) => boom.write(line),
    isStalled: () => stalled,
    async close() {
      boom.end()
      const closed = once(boom, 'close').then(() => true)
      if (await Promise.race([closed, sleep(FLUSH_WITHIN_MS, false)])) return
      writeSync(2, 'Nobody reads the log; its last lines are lost.\n')
      process.kill(process.pid, 'SIGKILL')
    },
  }
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
