import { type EndingSoon, endingSoon } from '../domain/key-life.ts'
import type { Keyring } from './keyring.ts'

/** As much of a logger as is needed here. */
interface EndingKeysLog {
  warn(fields: object, message: string): void
}

/** Warns of keys and graces that end soon. */
export interface EndingKeys {
  /**
   * Warns of each living key once a week before its end and once a day before, as far as this process has not done so. A
   * key that comes later than that, such as one with a grace of an hour, is told of at once.
   */
  warn(): void
}

interface EndingKeysDeps {
  readonly keyring: Pick<Keyring, 'livingKeys'>
  /** Unix milliseconds. */
  readonly now: () => number
  readonly log: EndingKeysLog
}

/** Lines of one call: the rest comes with the next ones, so that the log takes any number of keys that end together. */
const MOST_AT_ONCE = 100

export function createEndingKeys({ keyring, now, log }: EndingKeysDeps): EndingKeys {
  let told = new Map<string, EndingSoon>()

  return { warn }

  function warn(): void {
    // Only what ends soon is kept, so that a key whose end is pushed out is told of anew when that one is near.
    const stillTold = new Map<string, EndingSoon>()
    let lines = 0
    for (const key of keyring.livingKeys()) {
      const within = endingSoon(key, now())
      if (within === undefined) continue
      if (told.get(key.id) !== within) {
        if (lines === MOST_AT_ONCE) continue
        lines += 1
        const { id: keyId, environmentId, kind, successorId, expiresAt = 0 } = key
        const fields = {
          keyId,
          environmentId,
          kind,
          successorId,
          within,
          expiresAt: Math.floor(expiresAt / 1000),
        }
        log.warn(fields, 'key ends soon')
      }
      stillTold.set(key.id, within)
    }
    told = stillTold
  }
}
