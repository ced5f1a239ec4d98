import type { ChangeRecord } from '../domain/change-record.ts'
import type { ChangeRecords } from '../store/store.ts'
import type { FoundRecord, Question } from './query.ts'

/** Where records of changes are, in the place of an instance's name: all processes write one chain there. */
export const DATABASE = 'database'

/** The records of changes that fit, for `mergeByTime`. */
export async function* queryChanges(
  records: Pick<ChangeRecords, 'find'>,
  question: Question,
): AsyncGenerator<FoundRecord> {
  for await (const record of records.find(question)) yield foundIn(record)
}

/** Gives the last records of changes at the first call, and those that came since at each one after that. */
export function createChangeReader(records: Pick<ChangeRecords, 'last' | 'after'>) {
  let revision: number | undefined
  return async (most: number): Promise<FoundRecord[]> => {
    if (revision === undefined) {
      const there = await records.last(Math.max(most, 1))
      revision = there.at(-1)?.revision ?? 0
      return there.slice(there.length - Math.min(most, there.length)).map(foundIn)
    }
    const found: FoundRecord[] = []
    for await (const record of records.after(revision)) {
      revision = record.revision
      found.push(foundIn(record))
    }
    return found
  }
}

function foundIn({ at, line }: ChangeRecord): FoundRecord {
  return { instance: DATABASE, at, line }
}
