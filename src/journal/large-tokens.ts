import type { Journal } from './journal.ts'

/** A token beyond this is told about, in bytes: many a proxy takes no longer header. */
export const LARGE_TOKEN_BYTES = 4_096

interface LargeTokensLog {
  warn(fields: object, message: string): void
}

/** The same journal, and a warning in the log for every large token that it has recorded. */
export function warnOfLargeTokens(journal: Journal, log: LargeTokensLog): Journal {
  let largeTokens = 0
  return {
    ...journal,
    async append(issuance) {
      await journal.append(issuance)
      const { jti, keyId, format, bytes } = issuance
      if (bytes === undefined || bytes <= LARGE_TOKEN_BYTES) return
      largeTokens += 1
      log.warn({ jti, keyId, format, bytes, largeTokens }, 'token is large')
    },
  }
}
