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

/**
 * Gives the last records of changes at the first call, and those that came since at each one after that.
 *
 * @param onFault told what was wrong when they could not be read, and `undefined` once they can be again; the next call
 *   goes on where this one ended
 */
export function createChangeReader(
  records: Pick<ChangeRecords, 'last' | 'after'>,
  onFault: (fault: unknown) => void,
) {
  let revision: number | undefined
  let isFailing = false
  return async (most: number): Promise<FoundRecord[]> => {
    const found: FoundRecord[] = []
    try {
      await readInto(found, most)
      if (isFailing) onFault(undefined)
      isFailing = false
    } catch (fault) {
      if (!isFailing) onFault(fault)
      isFailing = true
    }
    return found
  }

  async function readInto(found: FoundRecord[], most: number): Promise<void> {
    if (revision === undefined) {
      // Behind a first call that failed nothing says what is new: what there is by then is not.
      const count = Number.isFinite(most) ? most : 0
      const there = await records.last(Math.max(count, 1))
      revision = there.at(-1)?.revision ?? 0
      found.push(...there.slice(there.length - Math.min(count, there.length)).map(foundIn))
      return
    }
    for await (const record of records.after(revision)) {
      revision = record.revision
      found.push(foundIn(record))
    }
  }
}

function foundIn({ at, line }: ChangeRecord): FoundRecord {
  return { instance: DATABASE, at, line }
}
