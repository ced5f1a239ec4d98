import { JetonError } from '../domain/errors.ts'
import type { Issuance, Journal } from './journal.ts'

/** A token beyond this is told about, in bytes: many a proxy takes no longer header. */
export const LARGE_TOKEN_BYTES = 4_096

/** As much of a logger as a record needs. */
interface IssuanceLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/**
 * Records each issuance as one line of the log, for whatever collects the log to keep.
 *
 * @param isStalled whether the log is dropping lines; a token whose line was dropped does not leave
 */
export function createLogJournal(log: IssuanceLog, isStalled: () => boolean): Journal {
  let largeTokens = 0
  return {
    isAvailable: () => !isStalled(),
    append({ bytes, ...issuance }: Issuance): void {
      log.info(issuance, 'token issued')
      // Asked behind the line: what it says now is whether that line was taken.
      if (isStalled()) {
        throw new JetonError(
          'journal_unavailable',
          'The record of this token cannot be written. Try again soon.',
        )
      }
      if (bytes === undefined || bytes <= LARGE_TOKEN_BYTES) return
      largeTokens += 1
      const { jti, keyId, format } = issuance
      log.warn({ jti, keyId, format, bytes, largeTokens }, 'token is large')
    },
  }
}
