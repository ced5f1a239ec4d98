import type { ChangedRows, Store } from '../../src/store/store.ts'

/** All that has a later revision than `since`, in one piece. */
export async function changesSince(store: Pick<Store, 'readChanges'>, since: number) {
  const parts: ChangedRows[] = []
  const revision = await store.readChanges(since, (rows) => parts.push(rows))
  return {
    revision,
    environments: parts.flatMap(({ environments = [] }) => environments),
    apiKeys: parts.flatMap(({ apiKeys = [] }) => apiKeys),
    signingKeys: parts.flatMap(({ signingKeys = [] }) => signingKeys),
    revocations: parts.flatMap(({ revocations = [] }) => revocations),
    adminKeys: parts.flatMap(({ adminKeys = [] }) => adminKeys),
    recordHead: parts.findLast(({ recordHead }) => recordHead !== undefined)?.recordHead,
  }
}
