import { hash } from 'node:crypto'

/** Where a chain of records ends: what its next record names as the one before it. */
export interface Head {
  /** Of the last line, without its end, in hex. */
  readonly sha256: string
  /** Which record of its chain it is, from 1; 0 before the first. */
  readonly n: number
}

/** What stands before the first record of a chain. */
export const GENESIS: Head = { sha256: '0'.repeat(64), n: 0 }

/**
 * Puts a record behind the one before it. The order of the members is fixed, so that a search can tell by the bytes.
 *
 * @param at when, in ISO 8601 with milliseconds
 * @param members the rest of the record as JSON, without the bracket that opens it; its first member is `type`
 */
export function chainLine(before: Head, at: string, members: string): { line: string; head: Head } {
  const n = before.n + 1
  // `toFixed`: what a template makes of a number is kept by V8 for a while, which its collector then has to move.
  const line = `{"v":1,"at":"${at}","prev":"${before.sha256}","n":${n.toFixed()},${members}`
  return { line, head: { sha256: sha256(line), n } }
}

/** What the record after a line names it by. */
export function sha256(line: string | Uint8Array): string {
  return hash('sha256', line, 'hex')
}
