import { type Command, Option } from 'commander'
import { formatNames, formats } from '../formats/formats.ts'
import type { Rotated, SigningKeyState } from '../keys/signing-key-rotation.ts'
import type { SigningAlgorithm } from '../store/store.ts'
import { confirm, readSecret, UsageError } from './input.ts'
import { moment, type OutputOptions, print, printTable, toSeconds, withInstallation } from './output.ts'

/** `jeton signing-keys …` */
export function signingKeyCommands(program: Command): void {
  const signingKeys = program.command('signing-keys').description('what signs the tokens of environments')

  signingKeys
    .command('import')
    .description('sign the tokens of one format with a key that exists already')
    .requiredOption('--environment <id>', 'the environment')
    .addOption(new Option('--format <format>', 'whose tokens').choices(formatNames).makeOptionMandatory())
    .requiredOption('--kid <kid>', 'what the tokens name it by')
    .option(
      '--secret-file <file>',
      'an HS256 secret as it stands, or for client and peer an Ed25519 seed as sk_ and 64 hex digits; - is standard input',
      '-',
    )
    .option('--json', 'print one line of JSON')
    .action(importKey)

  signingKeys
    .command('list')
    .description('list signing keys and where they stand, those that are gone included')
    .requiredOption('--environment <id>', 'the environment')
    .option('--json', 'print one line of JSON')
    .action(list)

  signingKeys
    .command('export')
    .description('print an HS256 secret as a JWK, to judge tokens without the gate; who holds it can mint')
    .requiredOption('--environment <id>', 'the environment')
    .requiredOption('--kid <kid>', 'the key')
    .option('--yes', 'do not ask')
    .action(exportKey)

  signingKeys
    .command('rotate')
    .description('make a successor, which signs once every verifier has had the time to fetch it')
    .requiredOption('--environment <id>', 'the environment')
    .addOption(algorithmOption('which of its own keys; both when left out'))
    .option('--now', 'for an emergency: sign with it at once; verifiers may refuse new tokens for minutes')
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(rotate)

  signingKeys
    .command('roll-back')
    .description('sign with the key of before the last rotation again')
    .requiredOption('--environment <id>', 'the environment')
    .addOption(algorithmOption('which of its own keys').makeOptionMandatory())
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(rollBack)
}

const ALGORITHMS = ['EdDSA', 'HS256'] as const satisfies readonly SigningAlgorithm[]

function algorithmOption(description: string): Option {
  return new Option('--alg <algorithm>', description).choices(ALGORITHMS)
}

interface ImportOptions extends OutputOptions {
  readonly environment: string
  readonly format: string
  readonly kid: string
  readonly secretFile: string
}

async function importKey({ environment, format: name, kid, secretFile, json }: ImportOptions): Promise<void> {
  const format = formats.find((candidate) => candidate.name === name)
  if (format === undefined) throw new UsageError(`There is no format ${name}.`)
  const secret = await readSecret(secretFile)
  const identity = { environmentId: environment, kid, format }
  const keys = await withInstallation(async ({ environments, signingKeyRotation }) => {
    await environments.importSigningKey(identity, secret)
    return await signingKeyRotation.list(environment)
  })
  printKeys(
    keys.filter((key) => key.kid === kid),
    { json },
  )
}

async function exportKey({ environment, kid, yes }: { environment: string; kid: string; yes?: boolean }) {
  const question = `Whoever reads the secret of ${kid} can mint every token of ${environment}. Print it?`
  await confirm(question, { yes })
  const jwk = await withInstallation(({ signingKeyExport }) =>
    signingKeyExport.exportSecret(environment, kid),
  )
  print(JSON.stringify(jwk))
}

interface ChangeOptions extends OutputOptions {
  readonly environment: string
  readonly yes?: boolean
}

async function list({ environment, json }: OutputOptions & { environment: string }): Promise<void> {
  const keys = await withInstallation(({ signingKeyRotation }) => signingKeyRotation.list(environment))
  printKeys(keys, { json })
}

async function rotate(options: ChangeOptions & { alg?: SigningAlgorithm; now?: boolean }): Promise<void> {
  const { environment, alg, now: immediately = false, yes, json } = options
  if (immediately) {
    await confirm('Verifiers may refuse new tokens until they fetch the keys again. Rotate now?', { yes })
  }
  const rotated = await withInstallation(async ({ signingKeyRotation }) => {
    const done: Rotated[] = []
    for (const algorithm of alg === undefined ? ALGORITHMS : [alg]) {
      done.push(await signingKeyRotation.rotate(environment, algorithm, { immediately }))
    }
    return done
  })
  printRotated(rotated, json)
}

async function rollBack(options: ChangeOptions & { alg: SigningAlgorithm }): Promise<void> {
  const { environment, alg, yes, json } = options
  await confirm(`The last rotation of the ${alg} key of ${environment} is taken back. Go on?`, { yes })
  const rolledBack = await withInstallation(({ signingKeyRotation }) =>
    signingKeyRotation.rollBack(environment, alg),
  )
  printRotated([rolledBack], json)
}

function printRotated(rotated: readonly Rotated[], json: boolean | undefined): void {
  if (json) {
    print(
      JSON.stringify({
        signingKeys: rotated.map(({ key, changed }) => ({ ...showSigningKey(key), changed })),
      }),
    )
    return
  }
  for (const { key, changed } of rotated) {
    const when = key.phase === 'published' ? `signs from ${moment(key.signsFrom)}` : 'signs now'
    print(`${key.algorithm}  ${key.kid}  ${when}${changed ? '' : '; nothing was changed by this call'}`)
  }
}

/** What programs are told of a signing key. */
function showSigningKey({ format, ...key }: SigningKeyState) {
  return {
    ...key,
    format: format ?? null,
    createdAt: toSeconds(key.createdAt),
    signsFrom: toSeconds(key.signsFrom),
    signsUntil: toSeconds(key.signsUntil),
    verifiesUntil: toSeconds(key.verifiesUntil),
    exportedAt: toSeconds(key.exportedAt),
  }
}

function printKeys(keys: readonly SigningKeyState[], { json }: OutputOptions): void {
  if (json) {
    print(JSON.stringify({ signingKeys: keys.map(showSigningKey) }))
    return
  }
  printTable(
    [
      'KID',
      'ALGORITHM',
      'FORMAT',
      'PHASE',
      'CREATED',
      'SIGNS FROM',
      'SIGNS UNTIL',
      'VERIFIES UNTIL',
      'EXPORTED',
    ],
    keys.map((key) => [
      key.kid,
      key.algorithm,
      key.format ?? '',
      key.phase,
      moment(key.createdAt),
      moment(key.signsFrom),
      moment(key.signsUntil),
      moment(key.verifiesUntil),
      moment(key.exportedAt),
    ]),
  )
}
