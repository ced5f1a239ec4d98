import type { Issuance, Journal } from './journal.ts'

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
    append(issuance) {
      const { bytes = 0 } = issuance
      return bytes > LARGE_TOKEN_BYTES ? appendAndWarn(issuance) : journal.append(issuance)
    },
  }

  async function appendAndWarn(issuance: Issuance): Promise<void> {
    await journal.append(issuance)
    const { jti, keyId, format, bytes } = issuance
    largeTokens += 1
    log.warn({ jti, keyId, format, bytes, largeTokens }, 'token is large')
  }
}
