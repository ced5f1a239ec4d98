import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import type { Grant } from '../domain/grant.ts'
import { grantSchema } from '../formats/grant.ts'

/** What the caller wrote cannot be carried out. Its message is all that is printed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads a grant from a file of JSON, and checks it. */
export async function readGrant(file: string): Promise<Grant> {
  const found = grantSchema.safeParse(parseJson(await readText(file), file))
  if (found.success) return found.data
  const faults = found.error.issues.map(
    ({ path, message }) => `  - ${path.join('.') || 'the grant'}: ${message}`,
  )
  throw new UsageError(`The grant in ${file} is not valid:\n${faults.join('\n')}`)
}

/** Reads a secret as it stands, without the line's end that an editor or `echo` puts behind it. */
export async function readSecret(file: string): Promise<string> {
  return (await readText(file)).replace(/\r?\n$/, '')
}

/**
 * Asks before something that cannot be taken back.
 *
 * @param options.yes the caller has said so already
 * @throws UsageError when the answer is no, or there is no terminal to ask at
 */
export async function confirm(
  question: string,
  { yes }: { readonly yes?: boolean | undefined },
): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY)
    throw new UsageError(`${question} Say --yes, since there is no terminal to ask at.`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  // ^C and ^D are an answer too.
  const answer = await terminal
    .question(`${question} [y/N] `)
    .catch(() => 'no')
    .finally(() => terminal.close())
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('Nothing was changed.')
}

async function readText(file: string): Promise<string> {
  if (file === '-') return await text(process.stdin)
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    throw new UsageError(`${file} cannot be read: ${code}.`)
  }
}

function parseJson(json: string, file: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw new UsageError(`${file} does not hold JSON.`)
  }
}
