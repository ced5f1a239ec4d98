import type { Issuance, Journal } from './journal.ts'

/** A token beyond this is told about, in bytes: many a proxy takes no longer header. */
export const LARGE_TOKEN_BYTES = 4_096

/** As much of a logger as a record needs. */
interface IssuanceLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Records each issuance as one line of the log, for whatever collects the log to keep. */
export function createLogJournal(log: IssuanceLog): Journal {
  let largeTokens = 0
  return {
    append({ bytes, ...issuance }: Issuance): void {
      log.info(issuance, 'token issued')
      if (bytes === undefined || bytes <= LARGE_TOKEN_BYTES) return
      largeTokens += 1
      const { jti, keyId, format } = issuance
      log.warn({ jti, keyId, format, bytes, largeTokens }, 'token is large')
    },
  }
}
