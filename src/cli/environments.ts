import { type Command, Option } from 'commander'
import { DEFAULT_TAG } from '../domain/environment.ts'
import { readSecret, UsageError } from './input.ts'
import { moment, type OutputOptions, print, printTable, withInstallation } from './output.ts'

/** `jeton environments …` */
export function environmentCommands(program: Command): void {
  const environments = program.command('environments').description('make and list environments')

  environments
    .command('create')
    .description('make an environment with one secret, one publishable and two signing keys')
    .argument('<name>', '1 to 80 characters, used by no other environment')
    .option('--tag <tag>', 'stands in the text of its keys: 1 to 8 of a-z and 0-9', DEFAULT_TAG)
    .addOption(algorithmOption())
    .option('--json', 'print one line of JSON')
    .action(create)

  environments
    .command('update')
    .description('change what signs the tokens of an environment')
    .argument('<id>', 'the environment')
    .addOption(algorithmOption().makeOptionMandatory())
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
    .action(turn)

  environments
    .command('list')
    .description('list every environment')
    .option('--json', 'print one line of JSON')
    .action(list)
}

// `default` leaves it to each format: HS256 for user and channels, EdDSA for client and peer.
function algorithmOption(): Option {
  return new Option('--alg <algorithm>', 'what signs all of its tokens').choices([
    'EdDSA',
    'HS256',
    'default',
  ])
}

function collect(url: string, urls: readonly string[] = []): string[] {
  return [...urls, url]
}

type Algorithm = 'EdDSA' | 'HS256' | 'default'

function algorithmOf(alg: Algorithm | undefined) {
  return alg === 'default' ? undefined : alg
}

async function create(
  name: string,
  { tag, alg, json }: OutputOptions & { tag: string; alg?: Algorithm },
): Promise<void> {
  const options = { tag, signingAlgorithm: algorithmOf(alg) }
  const made = await withInstallation(({ environments }) => environments.create(name, options))
  const { environment, keyId, secretKey, publishableKey } = made
  if (json) {
    const { id, tag } = environment
    print(JSON.stringify({ environment: { id, name, tag }, keyId, secretKey, publishableKey }))
    return
  }
  print(`environment      ${environment.name} (${environment.id})`)
  print(`publishable key  ${publishableKey}`)
  print(`secret key       ${secretKey}`)
  print(`its id           ${keyId}`)
  print('The secret key is shown this once and kept nowhere.')
}

async function update(id: string, { alg }: { alg: Algorithm }): Promise<void> {
  await withInstallation(({ environments }) =>
    environments.update(id, { signingAlgorithm: algorithmOf(alg) ?? null }),
  )
}

async function turn(
  id: string,
  options: { url?: string[]; secretFile: string; clear?: boolean },
): Promise<void> {
  if (options.url === undefined && !options.clear) throw new UsageError('Say --url URL or --clear.')
  const server = options.url ? { urls: options.url, secret: await readSecret(options.secretFile) } : null
  await withInstallation(({ environments }) => environments.update(id, { turn: server }))
}

async function list({ json }: OutputOptions): Promise<void> {
  const environments = await withInstallation(({ store }) => store.listEnvironments())
  if (json) {
    print(JSON.stringify({ environments }))
    return
  }
  printTable(
    ['ID', 'NAME', 'TAG', 'CREATED'],
    environments.map(({ id, name, tag, createdAt }) => [id, name, tag, moment(createdAt)]),
  )
}
