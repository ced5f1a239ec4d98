import { type Command, Option } from 'commander'
import { formatNames, formats } from '../formats/formats.ts'
import { readSecret, UsageError } from './input.ts'
import { withInstallation } from './output.ts'

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
    .action(importKey)
}

interface ImportOptions {
  readonly environment: string
  readonly format: string
  readonly kid: string
  readonly secretFile: string
}

async function importKey({ environment, format: name, kid, secretFile }: ImportOptions): Promise<void> {
  const format = formats.find((candidate) => candidate.name === name)
  if (format === undefined) throw new UsageError(`There is no format ${name}.`)
  const secret = await readSecret(secretFile)
  const identity = { environmentId: environment, kid, format }
  await withInstallation(({ environments }) => environments.importSigningKey(identity, secret))
}
