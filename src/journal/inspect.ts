import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type ChainFile, isGone, listFiles, listInstances } from './folder.ts'
import { readLines } from './lines.ts'
import { GENESIS, readPlace, sha256 } from './record.ts'

/** What a look at a journal's folder finds. */
export interface JournalInspection {
  /** What Jeton's user may still write there, in bytes. */
  readonly freeBytes: number
  readonly chains: readonly ChainEnd[]
}

/** The end of one chain: the file that is written, or was last. */
export interface ChainEnd {
  readonly instance: string
  readonly file: ChainFile | undefined
  /** Why that file cannot be gone on with or trusted. */
  readonly fault: string | undefined
}

/**
 * Looks at the newest file of each chain without a lock, and changes nothing. Earlier files are not read: that is what
 * `jeton journal verify` is for.
 */
export async function inspectJournal(folder: string): Promise<JournalInspection> {
  const { bavail, bsize } = await statfs(folder)
  const chains: ChainEnd[] = []
  for (const instance of await listInstances(folder)) chains.push(await inspectEnd(folder, instance))
  return { freeBytes: bavail * bsize, chains }
}

async function inspectEnd(folder: string, instance: string): Promise<ChainEnd> {
  for (;;) {
    const end = await inspectNewest(folder, instance)
    // Being old enough, it may have been removed since it was listed.
    if (end.fault === undefined || end.file === undefined) return end
    if (!(await isGone(join(folder, instance), end.file.name))) return end
  }
}

async function inspectNewest(folder: string, instance: string): Promise<ChainEnd> {
  let file: ChainFile | undefined
  try {
    file = (await listFiles(join(folder, instance))).at(-1)
    return { instance, file, fault: file && (await faultIn(file)) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { instance, file, fault: `it cannot be read: ${reason}` }
  }
}

// A last line that has no end is being written, or its process was killed meanwhile: the next file says how far it counts.
async function faultIn(file: ChainFile): Promise<string | undefined> {
  let head: { readonly sha256: string; readonly n: number } | undefined
  let number = 0
  for await (const { bytes, isWhole } of readLines(file)) {
    if (!isWhole) return undefined
    number += 1
    const place = readPlace(bytes.toString('latin1'))
    if (place === undefined) return `line ${number} is no record of a journal`
    head ??= place.n === 1 ? GENESIS : { sha256: place.prev, n: place.n - 1 }
    if (place.prev !== head.sha256 || place.n !== head.n + 1) {
      return `line ${number} does not follow the one before it`
    }
    head = { sha256: sha256(bytes), n: place.n }
  }
  return undefined
}
