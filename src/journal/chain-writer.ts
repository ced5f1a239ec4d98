import { join } from 'node:path'
import { findEnd } from './chain-end.ts'
import { type Claim, claimInstance, type TakeHold } from './claim.ts'
import type { Disk, Identity, OpenFile } from './disk.ts'
import { dayOf, fileName, listFiles } from './folder.ts'
import type { FilePlace, Head } from './journal.ts'
import { type Counted, chain, type Draft, GENESIS, type Opening, opened, torn } from './record.ts'

export interface ChainWriterDeps {
  /** Where all chains lie. */
  readonly folder: string
  readonly disk: Disk
  readonly takeHold: TakeHold
  /** Unix milliseconds. */
  readonly now: () => number
  readonly random: (byteCount: number) => Uint8Array
  /** A file that has so many bytes is followed by another one. */
  readonly rollBytes: number
}

/** Where records were written. */
export interface WrittenPlace {
  /** Whose chain they stand in. */
  readonly instance: string
  /** The record behind which they came: between stand only such as say how a file was begun. */
  readonly after: number
  /** The last one of them. */
  readonly upTo: number
  /** Where that one ends. */
  readonly end: FilePlace
}

/** Writes the chain of one instance, file after file. Its calls must not overlap. */
export interface ChainWriter {
  /**
   * Begins a file: the first one of this process, or one behind a file that failed.
   *
   * @param fault what was wrong with the file before
   * @throws Error when it cannot; the next call tries again
   */
  open(because: Opening, fault?: string): Promise<void>
  /**
   * Writes records, and comes back once they are on the disk in a file that is still in its place.
   *
   * @throws Error when one of that is not so; the file must be abandoned then
   */
  write(drafts: readonly Draft[]): Promise<WrittenPlace>
  /** @throws Error when the file is no longer in its place, or shorter than what was written, or the lock is gone */
  check(): Promise<void>
  /** Lets go of a file that failed. What it has beyond the last record that is safe does not count. */
  abandon(): void
  /** Lets go of everything. */
  close(): Promise<void>
  /** Whose chain it is and where it ends; `seq` is the place of the open file. `undefined` until there is one. */
  standing(): { readonly instance: string; readonly head: Head; readonly seq: number | undefined } | undefined
}

/** The file that is written now. */
interface CurrentFile {
  /** Whose chain it is of. */
  readonly instance: string
  readonly handle: OpenFile
  readonly identity: Identity
  readonly path: string
  readonly name: string
  readonly seq: number
  readonly day: string
}

export function createChainWriter(deps: ChainWriterDeps): ChainWriter {
  const { folder, disk, takeHold, now, random, rollBytes } = deps
  let claim: Claim | undefined
  let head = GENESIS
  /** The last record that was there when the chain was taken, or was written since. */
  let last = 0
  /** How far the last file counts: up to the last record that is safe. */
  let counted: Counted | undefined
  let current: CurrentFile | undefined
  /** The file that was begun last. If it is removed its place is not given again: who has read it would read on there. */
  let newest: { readonly instance: string; readonly seq: number } | undefined
  /** What the process before left behind its last whole record, until that is recorded. */
  let leftTorn: Counted | undefined
  return { open, write, check, abandon, close, standing }

  async function open(because: Opening, fault?: string): Promise<void> {
    const place = await takePlace()
    const at = now()
    const day = dayOf(at)
    const seq = (await lastSeq(place)) + 1
    const name = fileName(seq, day)
    const path = join(place.folder, name)
    const first = opened(at, { instance: place.instance, because, before: counted, fault })
    const drafts = leftTorn === undefined ? [first] : [first, torn(at, leftTorn)]
    const handle = await disk.create(path)
    try {
      const lines = linesOf(drafts)
      await writeAll(handle, lines.bytes)
      await disk.syncFolder(place.folder)
      const identity = await handle.identity()
      leftTorn = undefined
      newest = { instance: place.instance, seq }
      current = { instance: place.instance, handle, identity, path, name, seq, day }
      head = lines.head
      counted = { file: name, bytes: lines.bytes.length }
    } catch (error) {
      // Nothing in it counts yet, and a disk that is full must not fill with beginnings.
      await handle.close().catch(() => undefined)
      await disk.remove(path).catch(() => undefined)
      throw error
    }
  }

  // Behind the file that it writes itself there is none, unless somebody puts one there, which creating it refuses if it has
  // the same name: to look through the folder would keep requests waiting.
  async function lastSeq({ instance, folder }: Claim): Promise<number> {
    if (current?.instance === instance) return current.seq
    const given = newest?.instance === instance ? newest.seq : 0
    return Math.max(given, (await listFiles(folder)).at(-1)?.seq ?? 0)
  }

  // The chain goes on where it was. Only if its folder or lock is gone, or at the start, one is taken, perhaps another.
  async function takePlace(): Promise<Claim> {
    if (claim !== undefined && (await claim.isHeld())) return claim
    claim?.release()
    claim = undefined
    const taken = await claimInstance({ folder, disk, takeHold, random })
    try {
      const end = await findEnd(taken.folder)
      // What a process that was killed had not waited for can be read, and may still be lost.
      for (const path of end.unsynced) await disk.syncFile(path)
      head = end.head
      last = end.head.n
      counted = end.counted
      leftTorn = end.torn
    } catch (error) {
      taken.release()
      throw error
    }
    claim = taken
    return taken
  }

  async function write(drafts: readonly Draft[]): Promise<WrittenPlace> {
    const file = await fileFor(now())
    const lines = linesOf(drafts)
    // Side by side, so that the look at the file costs no time of its own.
    await Promise.all([writeAll(file.handle, lines.bytes), checkPlace(file)])
    head = lines.head
    const bytes = (counted?.bytes ?? 0) + lines.bytes.length
    counted = { file: file.name, bytes }
    const after = last
    last = head.n
    return { instance: file.instance, after, upTo: last, end: { seq: file.seq, bytes } }
  }

  // A file holds the records of one day, so that a question about some days reads few.
  async function fileFor(at: number): Promise<CurrentFile> {
    const file = needFile()
    const isSameDay = file.day === dayOf(at)
    if (isSameDay && (counted?.bytes ?? 0) < rollBytes) return file
    await open(isSameDay ? 'size' : 'day')
    await file.handle.close().catch(() => undefined)
    return needFile()
  }

  function needFile(): CurrentFile {
    if (current === undefined) throw new Error('No file of the journal is open')
    return current
  }

  function linesOf(drafts: readonly Draft[]): { bytes: Buffer; head: Head } {
    let end = head
    let text = ''
    for (const draft of drafts) {
      const line = chain(end, draft)
      text += line.text
      end = line.head
    }
    return { bytes: Buffer.from(text), head: end }
  }

  async function check(): Promise<void> {
    await checkPlace(needFile())
    if (!(await claim?.isHeld())) throw new Error(`The lock in ${claim?.folder} was taken away`)
  }

  async function checkPlace({ path, identity }: CurrentFile): Promise<void> {
    const least = counted?.bytes ?? 0
    const found = await disk.identity(path)
    if (found.dev !== identity.dev || found.ino !== identity.ino) {
      throw new Error(`Another file was put in the place of ${path}`)
    }
    if (found.size < least) throw new Error(`${path} was cut to ${found.size} of ${least} bytes`)
  }

  function abandon(): void {
    // It may be that nothing comes back from this disk any more, so nobody waits for it.
    current?.handle.close().catch(() => undefined)
    current = undefined
  }

  async function close(): Promise<void> {
    const file = current
    current = undefined
    await file?.handle.close()
    claim?.release()
    claim = undefined
  }

  function standing() {
    return claim && { instance: claim.instance, head, seq: current?.seq }
  }
}

// A disk that is nearly full takes a part, without calling it an error.
async function writeAll(handle: OpenFile, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length; ) {
    const taken = await handle.write(bytes.subarray(from))
    if (taken === 0) throw new Error('The file takes no more')
    from += taken
  }
}
