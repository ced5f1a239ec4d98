import { accessSync, constants, statSync } from 'node:fs'
import type { ConfigReport } from '../config.ts'
import { journalFolder } from '../journal/folder.ts'
import { inspectJournal, type JournalInspection } from '../journal/inspect.ts'
import { type Check, mend, ok, reasonOf } from './check.ts'

/** Packing a file of the journal takes room beside it, which has to be there when the disk is nearly full. */
const LEAST_FREE_BYTES = 268_435_456

/** Looks at where the journal is written: whether it may be, how much room there is, and the end of each chain. */
export async function examineJournal({ config, dataDir }: ConfigReport): Promise<Check[]> {
  if (config === undefined) return []
  if (config.journal !== 'file') return [ok(`the journal is ${whereabouts(config.journal)} (JOURNAL)`)]
  const folder = journalFolder(dataDir)
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) {
    return [ok(`the journal’s folder ${folder} is not there yet; a start makes it`)]
  }
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
    return checksOf(folder, await inspectJournal(folder))
  } catch (error) {
    const how = 'let Jeton’s user read and write there; until then Jeton mints nothing'
    return [mend(`the journal’s folder ${folder} cannot be used: ${reasonOf(error)}`, how)]
  }
}

function whereabouts(kind: 'stdout' | 'off'): string {
  return kind === 'off' ? 'off: nothing is recorded' : 'written to the standard output'
}

/** What an inspection means. */
export function checksOf(folder: string, { freeBytes, chains }: JournalInspection): Check[] {
  const room = `the journal’s folder ${folder} can be written to, and has ${megabytes(freeBytes)} MB free`
  return [
    freeBytes >= LEAST_FREE_BYTES
      ? ok(room)
      : mend(room, 'make room, or lower JOURNAL_KEEP_DAYS: on a full disk Jeton mints nothing'),
    ...chains.map(({ instance, file, fault }) => {
      const name = file?.name ?? 'no file yet'
      return fault === undefined
        ? ok(`the end of the journal’s chain ${instance} holds together (${name})`)
        : mend(`the end of the journal’s chain ${instance} (${name}): ${fault}`, HOW)
    }),
  ]
}

const HOW = 'keep a copy of that folder, and run `jeton journal verify`, which says what was changed'

function megabytes(bytes: number): number {
  return Math.floor(bytes / 1_000_000)
}
