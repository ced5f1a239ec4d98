import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { onlyAbsent } from '../domain/error-code.ts'

// <seq>-<day>.jsonl, and .gz behind it once it is packed.
const FILE = /^(\d{8})-(\d{4}-\d\d-\d\d)\.jsonl(\.gz)?$/

/** An instance's name: also the name of its folder. */
export const INSTANCE = /^ins_[0-9a-z]{16}$/

/** What a process holds as long as its instance's folder is its own. */
export const LOCK_NAME = 'lock'

/** What a turn of the event loop reads the names of: a busy service has thousands of files. */
const NAMES_A_TURN = 1_000

/** A file of a chain. */
export interface ChainFile {
  /** Its place in the chain. */
  readonly seq: number
  /** The day (UTC) on which it was begun, like 2026-11-22. */
  readonly day: string
  /** What it is called in the chain, packed or not. */
  readonly name: string
  readonly path: string
  readonly packed: boolean
}

/** Where the journals of a data folder lie. */
export function journalFolder(dataDir: string): string {
  return join(dataDir, 'journal')
}

/** The day (UTC) of a moment. */
export function dayOf(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 10)
}

/** What the file at this place of a chain is called. */
export function fileName(seq: number, day: string): string {
  return `${String(seq).padStart(8, '0')}-${day}.jsonl`
}

/** The instances whose chains lie in a journal's folder; none when there is no such folder. */
export async function listInstances(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => INSTANCE.test(name)).sort()
}

/** The files of a chain, in its order. One that lies there packed and unpacked is given unpacked. */
export async function listFiles(instanceFolder: string): Promise<ChainFile[]> {
  const before = await changedAt(instanceFolder)
  const found = await scan(instanceFolder)
  const isSame = (await changedAt(instanceFolder)) === before
  if (isSame && !found.some(({ seq }, index) => seq !== (found[0]?.seq ?? 0) + index)) return found
  // A file that was packed meanwhile may have been seen under neither of its names. It is packed only once. Where moments
  // are coarse the folder may look the same, but for a gap.
  const again = await scan(instanceFolder)
  const both = new Map([...found, ...again].map((file) => [file.seq, file]))
  return [...both.values()].sort((a, b) => a.seq - b.seq)
}

/** Whether a file that was listed is not there any more, packed or not: it was old enough, or somebody took it away. */
export async function isGone(instanceFolder: string, name: string): Promise<boolean> {
  return !(await listFiles(instanceFolder)).some((file) => file.name === name)
}

async function scan(instanceFolder: string): Promise<ChainFile[]> {
  const found = new Map<number, ChainFile>()
  for (const [index, entry] of (await namesIn(instanceFolder)).sort().entries()) {
    if (index % NAMES_A_TURN === NAMES_A_TURN - 1) await nextTurn()
    const [, seq, day, gz] = FILE.exec(entry) ?? []
    if (seq === undefined || day === undefined) continue
    const file = {
      seq: Number(seq),
      day,
      name: `${seq}-${day}.jsonl`,
      path: join(instanceFolder, entry),
      packed: gz !== undefined,
    }
    if (!found.has(file.seq)) found.set(file.seq, file)
  }
  // Sorted by name they are sorted by place, which has as many digits in each.
  return [...found.values()]
}

// When a name in it was last made, changed or removed.
async function changedAt(folder: string): Promise<bigint | undefined> {
  return await stat(folder, { bigint: true }).then(({ mtimeNs }) => mtimeNs, onlyAbsent)
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(onlyAbsent)) ?? []
}
