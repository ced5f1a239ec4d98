import type { RecordedMinute } from '../../src/alerts/replay.ts'
import type { Store, UsageCount } from '../../src/store/store.ts'

const chains = new WeakMap<Store, number>()

/** Counts tokens in a store, as a process that minted them would. */
export async function countUsage(
  store: Store,
  minted: readonly (RecordedMinute & Partial<Pick<UsageCount, 'format' | 'outcome'>>)[],
): Promise<void> {
  const after = chains.get(store) ?? 0
  chains.set(store, after + 1)
  const counts = minted.map(({ issued: count, format = 'user', outcome = 'issued', ...rest }) => ({
    ...rest,
    format,
    outcome,
    count,
  }))
  await store.usage.add({ chain: 'test', after, upTo: after + 1, counts, sketches: [], at: 0 })
}
