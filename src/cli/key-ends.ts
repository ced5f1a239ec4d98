import type { Command } from 'commander'
import { confirm, UsageError } from './input.ts'
import { needEnvironment, needKey } from './lookup.ts'
import { parseGrace } from './option-values.ts'
import { type OutputOptions, print, printRecord, withInstallation } from './output.ts'
import { printKey, printMadeKey, SHOWN_ONCE, showKey, showMadeKey } from './shown-key.ts'

/** What ends a key, with or without another one in its place. */
export function keyEndCommands(keys: Command): void {
  keys
    .command('revoke')
    .description('end a key at once, everywhere within a second')
    .argument('<id>', 'the key, kid_…')
    .option('--tokens', TOKENS)
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(revoke)

  keys
    .command('rotate')
    .description('put a new key, which carries the same, in the place of one; that one ends')
    .argument('[id]', 'the key, kid_…')
    .option('--environment <id>', 'instead of a key: the secret and publishable key that it was made with')
    .option('--grace <time>', GRACE, parseGrace)
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(rotate)

  keys
    .command('report-leak')
    .description('flag a leaked key as exposed, and revoke it')
    .argument('<id>', 'the key, kid_…')
    .option('--rotate', 'put a new key in its place')
    .option('--grace <time>', `with --rotate: ${GRACE}`, parseGrace)
    .option('--tokens', TOKENS)
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(reportLeak)
}

const TOKENS = 'end what it has minted and signed so far as well'
const GRACE = 'how long the old one lives on: seconds, or like 90m, 12h, 7d, which is the most'

interface EndOptions extends OutputOptions {
  readonly yes?: boolean
}

interface RevokeOptions extends EndOptions {
  readonly tokens?: boolean
}

interface RotateOptions extends EndOptions {
  readonly environment?: string
  /** Seconds. */
  readonly grace?: number
}

interface LeakOptions extends RotateOptions, RevokeOptions {
  readonly rotate?: boolean
}

async function revoke(id: string, { tokens = false, yes, json }: RevokeOptions): Promise<void> {
  const ends = tokens ? 'and its tokens end at once' : 'ends at once'
  await confirm(async () => `${await describe(id)} ${ends}, for good. Revoke it?`, { yes })
  printKey(await withInstallation(({ keyLives }) => keyLives.revoke(id, { tokens })), { json })
}

async function rotate(id: string | undefined, options: RotateOptions): Promise<void> {
  const { environment, ...rest } = options
  if (id !== undefined && environment === undefined) await rotateKey(id, rest)
  else if (id === undefined && environment !== undefined) await rotatePair(environment, rest)
  else throw new UsageError('Say either the id of a key or --environment ID.')
}

async function rotateKey(id: string, { grace = 0, yes, json }: RotateOptions): Promise<void> {
  await confirm(async () => `${await describe(id)} ends ${inWords(grace)}. Rotate it?`, { yes })
  printMadeKey(await withInstallation(({ keyLives }) => keyLives.rotate(id, grace)), { json })
}

async function rotatePair(environment: string, { grace = 0, yes, json }: RotateOptions): Promise<void> {
  const question = async () => {
    const { name } = await withInstallation((installation) => needEnvironment(installation, environment))
    const pair = `The secret and the publishable key that "${name}" (${environment}) was made with`
    return `${pair}, or those in their place, end ${inWords(grace)}. Rotate them?`
  }
  await confirm(question, { yes })
  const made = await withInstallation(({ keyLives }) => keyLives.rotatePair(environment, grace))
  const { secret, publishable } = made
  if (json) {
    print(JSON.stringify({ keyId: secret.row.id, secretKey: secret.text, publishableKey: publishable.text }))
    return
  }
  printRecord({
    'publishable key': publishable.text,
    'secret key': secret.text,
    'its id': secret.row.id,
  })
  print(SHOWN_ONCE)
}

async function reportLeak(id: string, options: LeakOptions): Promise<void> {
  const { rotate: rotates = false, grace, tokens = false, yes, json } = options
  if (grace !== undefined && !rotates)
    throw new UsageError('--grace needs --rotate: a revoked key ends at once.')
  const how = { action: rotates ? 'rotate' : 'revoke', graceSeconds: grace ?? 0, tokens } as const
  const end = `is flagged as exposed and ends ${inWords(how.graceSeconds)}.`
  await confirm(async () => `${await describe(id)} ${end} Go on?`, { yes })
  const { key, successor } = await withInstallation(({ keyLives }) => keyLives.reportLeak(id, how))
  if (json) {
    print(JSON.stringify({ key: showKey(key), successor: successor ? showMadeKey(successor) : null }))
    return
  }
  printKey(key, { json })
  if (successor !== undefined) printMadeKey(successor, { json })
}

async function describe(id: string): Promise<string> {
  const { kind, name } = await withInstallation((installation) => needKey(installation, id))
  return `The ${kind} key ${name === undefined ? id : `"${name}" (${id})`}`
}

function inWords(graceSeconds: number): string {
  return graceSeconds === 0 ? 'at once' : `in ${graceSeconds} seconds, if it does not end before`
}
