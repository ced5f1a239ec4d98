import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import type { z } from 'zod'
import { errorCode } from '../domain/error-code.ts'

/** What the caller wrote cannot be carried out. Its message is all that is printed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The faults that one refusal names; a file could hold thousands. */
const MOST_FAULTS = 10

/**
 * Reads a file of JSON, or standard input for `-`, and checks it.
 *
 * @param what it is to hold, as the refusal calls it
 * @throws UsageError that names every fault in one line
 */
export async function readJson<Value>(file: string, schema: z.ZodType<Value>, what: string): Promise<Value> {
  const source = file === '-' ? 'Standard input' : file
  const found = schema.safeParse(parseJson(await readText(file), source))
  if (found.success) return found.data
  const faults = found.error.issues
    .slice(0, MOST_FAULTS)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
  throw new UsageError(`${source} holds no valid ${what}: ${printable(faults.join('; '))}.`)
}

/** Reads a secret as it stands, without the line's end that an editor or `echo` puts behind it. */
export async function readSecret(file: string): Promise<string> {
  return (await readText(file)).replace(/\r?\n$/, '')
}

/**
 * Asks before something that cannot be taken back.
 *
 * @param question or what makes it, when it has to be asked
 * @param options.yes the caller has said so already
 * @throws UsageError when the answer is no, or there is no terminal to ask at
 */
export async function confirm(
  question: string | (() => Promise<string>),
  { yes }: { readonly yes?: boolean | undefined },
): Promise<void> {
  if (yes) return
  const asked = typeof question === 'string' ? question : await question()
  if (!process.stdin.isTTY) throw new UsageError(`${asked} Say --yes, since there is no terminal to ask at.`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // ^C and ^D are an answer too.
  const answer = await terminal
    .question(`${asked} [y/N] `)
    .catch(() => 'no')
    .finally(() => terminal.close())
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('Nothing was changed.')
}

async function readText(file: string): Promise<string> {
  if (file === '-') return await text(process.stdin)
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${errorCode(error) ?? 'unknown reason'}.`)
  }
}

function parseJson(json: string, source: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw new UsageError(`${source} does not hold JSON.`)
  }
}

// A refusal repeats names of members, which may hold anything: nothing there may move a terminal's cursor.
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd')
}
