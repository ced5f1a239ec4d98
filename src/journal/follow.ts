import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorCode } from '../domain/error-code.ts'
import type { ChangeRecords } from '../store/store.ts'
import { createChangeReader } from './changes.ts'
import { type ChainFile, listFiles, listInstances } from './folder.ts'
import { readLines } from './lines.ts'
import type { FoundRecord } from './query.ts'
import { readPlace } from './record.ts'

const LOOK_EVERY_MS = 200

/** How far a chain was read. */
interface Position {
  seq: number
  bytes: number
}

/**
 * Gives the last records of all journals in a folder, and then every new one, until it is told to end.
 *
 * @param last how many of those that are there already
 * @param changes has records as well, if there is a database; while it cannot be read the files are, and `onFault` is told
 *   of it once, and with `undefined` of its end
 */
export async function* follow(
  folder: string,
  last: number,
  signal: AbortSignal,
  changes?: Pick<ChangeRecords, 'last' | 'after'>,
  onFault: (fault: unknown) => void = () => undefined,
): AsyncGenerator<FoundRecord> {
  const positions = new Map<string, Position>()
  const readChanges = changes === undefined ? undefined : createChangeReader(changes, onFault)
  const there = await readAll(last)
  yield* there.slice(there.length - Math.min(last, there.length))
  while (!signal.aborted) {
    yield* await readAll(Number.POSITIVE_INFINITY)
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }

  async function readAll(most: number): Promise<FoundRecord[]> {
    const found = [...(await readOn(folder, positions, most)), ...((await readChanges?.(most)) ?? [])]
    return found.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
  }
}

/**
 * Reads what is new since the last time; at the first time, the end of each chain.
 *
 * @param most what of each file is kept, from its end
 */
async function readOn(
  folder: string,
  positions: Map<string, Position>,
  most: number,
): Promise<FoundRecord[]> {
  const found: FoundRecord[] = []
  const isFirst = positions.size === 0
  for (const instance of await listInstances(folder)) {
    const files = await listFiles(join(folder, instance))
    const position = positions.get(instance) ?? { seq: 0, bytes: 0 }
    positions.set(instance, position)
    if (isFirst) {
      for (const record of await readBack(files, instance, position, most)) found.push(record)
      continue
    }
    for (const file of files) {
      if (file.seq < position.seq) continue
      if (file.seq > position.seq) Object.assign(position, { seq: file.seq, bytes: 0 })
      for (const record of await readFrom(file, instance, position, most)) found.push(record)
    }
  }
  return found
}

// From the newest file back, until they hold enough: a start begins a file, and so does a fault.
async function readBack(
  files: readonly ChainFile[],
  instance: string,
  position: Position,
  most: number,
): Promise<FoundRecord[]> {
  let found: FoundRecord[] = []
  for (const file of files.toReversed()) {
    const end = { seq: file.seq, bytes: 0 }
    const isNewest = file === files.at(-1)
    try {
      found = [...(await readFrom(file, instance, end, most)), ...found]
    } catch (error) {
      // What is damaged long ago is for `verify` to tell, and hides nothing that comes.
      if (isNewest) throw error
      break
    }
    if (isNewest) Object.assign(position, end)
    if (found.length >= most) break
  }
  return found
}

async function readFrom(
  file: ChainFile,
  instance: string,
  position: Position,
  most: number,
): Promise<FoundRecord[]> {
  const records: FoundRecord[] = []
  try {
    await readInto(records, file, instance, position, most)
  } catch (error) {
    // Removed since it was found: nothing more comes of it.
    if (errorCode(error) !== 'ENOENT') throw error
  }
  return records
}

async function readInto(
  records: FoundRecord[],
  file: ChainFile,
  instance: string,
  position: Position,
  most: number,
): Promise<void> {
  for await (const { bytes, until, isWhole } of readLines(file, position.bytes)) {
    // The rest of a line that is being written comes the next time.
    if (!isWhole) break
    position.bytes = until
    const line = bytes.toString()
    const place = readPlace(line)
    if (place !== undefined) records.push({ instance, at: place.at, line })
    if (records.length > most) records.shift()
  }
}
