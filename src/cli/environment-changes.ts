import { type Command, Option } from 'commander'
import { environmentSettings } from '../formats/environment-settings.ts'
import type { Installation } from '../installation.ts'
import { confirm, readJson, readSecret, UsageError } from './input.ts'
import { needEnvironment } from './lookup.ts'
import { type OutputOptions, withInstallation } from './output.ts'
import { printEnvironment } from './shown-environment.ts'

/** What changes an environment that is there. */
export function environmentChangeCommands(environments: Command): void {
  environments
    .command('rename')
    .description('give an environment another name')
    .argument('<id>', 'the environment')
    .argument('<name>', '1 to 80 characters, used by no other environment')
    .option('--json', 'print one line of JSON')
    .action(rename)

  environments
    .command('update')
    .description('change what signs the tokens of an environment, or its settings')
    .argument('<id>', 'the environment')
    .addOption(algorithmOption())
    .option('--settings <file>', 'JSON that takes the place of all its settings; - is standard input')
    .option('--json', 'print one line of JSON')
    .action(update)

  environments
    .command('turn')
    .description('give an environment a TURN server; its shared secret is read from a file or standard input')
    .argument('<id>', 'the environment')
    .option(
      '--url <url>',
      'turn:, turns:, stun: or stuns: URL that clients are given; may be repeated',
      collect,
    )
    .option('--secret-file <file>', 'holds the static-auth-secret of the server; - is standard input', '-')
    .addOption(new Option('--clear', 'take the TURN server away').conflicts('url'))
    .option('--json', 'print one line of JSON')
    .action(turn)

  environments
    .command('archive')
    .description('end an environment, keeping its data: it mints nothing until it is restored')
    .argument('<id>', 'the environment')
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(archive)

  environments
    .command('restore')
    .description('bring an archived environment back as it was')
    .argument('<id>', 'the environment')
    .option('--json', 'print one line of JSON')
    .action(restore)
}

/** As `--alg` is written: `default` leaves it to each format, HS256 for user and channels, EdDSA for client and peer. */
export type Algorithm = 'EdDSA' | 'HS256' | 'default'

export function algorithmOption(): Option {
  return new Option('--alg <algorithm>', 'what signs all of its tokens').choices([
    'EdDSA',
    'HS256',
    'default',
  ])
}

function collect(url: string, urls: readonly string[] = []): string[] {
  return [...urls, url]
}

type Update = Parameters<Installation['environments']['update']>[1]

async function change(id: string, asked: Update, options: OutputOptions): Promise<void> {
  const changed = await withInstallation(({ environments }) => environments.update(id, asked))
  printEnvironment(changed, options)
}

async function rename(id: string, name: string, options: OutputOptions): Promise<void> {
  await change(id, { name }, options)
}

interface UpdateOptions extends OutputOptions {
  readonly alg?: Algorithm
  readonly settings?: string
}

async function update(id: string, { alg, settings: file, ...output }: UpdateOptions): Promise<void> {
  if (alg === undefined && file === undefined) throw new UsageError('Say --alg ALGORITHM or --settings FILE.')
  const settings = file === undefined ? undefined : await readJson(file, environmentSettings, 'settings')
  await change(id, { signingAlgorithm: alg === 'default' ? null : alg, settings }, output)
}

interface TurnOptions extends OutputOptions {
  readonly url?: string[]
  readonly secretFile: string
  readonly clear?: boolean
}

async function turn(id: string, { url: urls, secretFile, clear, ...output }: TurnOptions): Promise<void> {
  if (urls === undefined && !clear) throw new UsageError('Say --url URL or --clear.')
  await change(id, { turn: urls ? { urls, secret: await readSecret(secretFile) } : null }, output)
}

async function archive(id: string, { yes, ...output }: OutputOptions & { yes?: boolean }): Promise<void> {
  const question = async () => {
    const { name } = await withInstallation((installation) => needEnvironment(installation, id))
    return `"${name}" (${id}) mints nothing more and lets nobody in until it is restored. Archive it?`
  }
  await confirm(question, { yes })
  await change(id, { archived: true }, output)
}

async function restore(id: string, options: OutputOptions): Promise<void> {
  await change(id, { archived: false }, options)
}
