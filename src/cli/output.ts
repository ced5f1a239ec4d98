import { once } from 'node:events'
import { readConfig } from '../config.ts'
import { type Installation, openExisting, openInstallation } from '../installation.ts'
import { systemSeams } from '../seams.ts'
import { operator } from './operator.ts'

/** The option that every command shares: one line of JSON for programs instead of text for people. */
export interface OutputOptions {
  readonly json?: boolean | undefined
}

/**
 * Opens the installation that the environment variables name, for as long as `work` takes.
 *
 * @param options.mayBegin whether there may be none yet, so that one is begun
 */
export async function withInstallation<T>(
  work: (installation: Installation) => Promise<T>,
  { mayBegin = false }: { readonly mayBegin?: boolean } = {},
): Promise<T> {
  const open = mayBegin ? openInstallation : openExisting
  const installation = await open(readConfig(), systemSeams, operator())
  try {
    return await work(installation)
  } finally {
    await installation.close()
  }
}

/** Takes out what could be a secret that stood where none belongs, like behind a mistyped option. */
export function redact(text: string): string {
  return text.replace(/\b(sk|ak)_[\w-]+/g, '$1_…').replace(/(--[\w-]+=)[^'\s]+/g, '$1…')
}

/** Lets a command come to its end when nobody reads what it prints any more, as behind `| head -1`. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.off('error', ignoreBrokenPipe).on('error', ignoreBrokenPipe)
  }
}

function ignoreBrokenPipe(error: Error): void {
  if (!('code' in error) || error.code !== 'EPIPE') throw error
}

/** Prints a line to standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Written at once, in characters: a million lines are not a million writes. */
const PRINTED_AT_ONCE = 65_536

/** Prints lines as they come, many of them at once, and no faster than they are read. It ends when nobody reads them. */
export async function printAll(lines: AsyncIterable<string>): Promise<void> {
  let text = ''
  for await (const line of lines) {
    text += `${line}\n`
    if (text.length < PRINTED_AT_ONCE) continue
    if (!(await printInTime(text))) return
    text = ''
  }
  await printInTime(text)
}

/**
 * Prints a text, and waits where the reader is slower.
 *
 * @returns whether anybody reads any more
 */
export async function printInTime(text: string): Promise<boolean> {
  const { stdout } = process
  if (!stdout.write(text) && stdout.writable) {
    const over = new AbortController()
    const { signal } = over
    // A reader that goes is told of twice; `outliveReaders` has the other one.
    await Promise.race([once(stdout, 'drain', { signal }), once(stdout, 'close', { signal })]).catch(
      () => undefined,
    )
    over.abort()
  }
  return stdout.writable
}

/** Prints rows under a heading, each column as wide as its widest cell. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  for (const row of [headings, ...rows]) {
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
  }
}

/** Prints what is known of one thing, a line for each; what is `undefined` or empty is left out. */
export function printRecord(record: Readonly<Record<string, string | undefined>>): void {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined && value !== '')
  const width = Math.max(...entries.map(([name]) => name.length))
  for (const [name, value] of entries) print(`${name.padEnd(width)}  ${value}`)
}

/** A moment for a person: ISO 8601 to the second, or nothing. */
export function moment(unixMs: number | undefined): string {
  return unixMs === undefined ? '' : new Date(unixMs).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

/** Unix seconds for programs, as everywhere in the admin API; `null` where there is no such moment. */
export function toSeconds(unixMs: number | undefined): number | null {
  return unixMs === undefined ? null : Math.floor(unixMs / 1000)
}
