import { generateApiKey } from '../src/keys/api-keys.ts'
import { systemSeams } from '../src/seams.ts'
import type { ChangeSet } from '../src/store/store.ts'
import type { Fill } from './jeton.ts'

/** Keys that a load uses, of all that there are. */
const SAMPLED_KEYS = 1_000
const ROWS_PER_TRANSACTION = 10_000
/** Longer than any bench: revocations that end meanwhile would be forgotten. */
const DAY_SECONDS = 86_400

/**
 * Fills with secret keys that have a name and a grant of their own, as most would.
 *
 * @param sample gets the texts of some of them, from the first to the last
 */
export function withKeys(count: number, sample: string[]): Fill {
  return ({ store }, environment) =>
    inParts(store, count, async (changes, made) => {
      const carried = { name: `backend of customer ${made}`, grant: { channels: [`customer-${made}-*`] } }
      const { row, text } = generateApiKey('secret', environment, systemSeams, carried)
      await changes.insertApiKey(row)
      if (made % Math.ceil(count / SAMPLED_KEYS) === 0) sample.push(text)
    })
}

/** Fills with revocations: half of them of one token each, half of subjects. */
export function withRevocations(count: number): Fill {
  const now = Math.floor(systemSeams.now() / 1000)
  return ({ store }, { id: environmentId }) =>
    inParts(store, count, async (changes, made) => {
      const about =
        made % 2 === 0
          ? ({ kind: 'jti', value: `revoked-token-${made}`, before: undefined } as const)
          : ({ kind: 'subject', value: `revoked-${made}`, before: now } as const)
      await changes.keepRevocation({ environmentId, ...about, until: now + DAY_SECONDS }, now)
    })
}

async function inParts(
  store: Parameters<Fill>[0]['store'],
  count: number,
  insert: (changes: ChangeSet, made: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < count; from += ROWS_PER_TRANSACTION) {
    const until = Math.min(count, from + ROWS_PER_TRANSACTION)
    await store.change(async (changes) => {
      for (let made = from; made < until; made += 1) await insert(changes, made)
    })
  }
}
