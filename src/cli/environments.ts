import type { Command } from 'commander'
import { DEFAULT_TAG } from '../domain/environment.ts'
import { type Algorithm, algorithmOption, environmentChangeCommands } from './environment-changes.ts'
import { needEnvironment } from './lookup.ts'
import { moment, type OutputOptions, print, printRecord, printTable, withInstallation } from './output.ts'
import { printEnvironment, showEnvironment, stateOf } from './shown-environment.ts'
import { SHOWN_ONCE } from './shown-key.ts'

/** `jeton environments …` */
export function environmentCommands(program: Command): void {
  const environments = program.command('environments').description('make, change, end and list environments')

  environments
    .command('create')
    .description('make an environment with one secret, one publishable and two signing keys')
    .argument('<name>', '1 to 80 characters, used by no other environment')
    .option('--tag <tag>', 'stands in the text of its keys: 1 to 8 of a-z and 0-9', DEFAULT_TAG)
    .addOption(algorithmOption())
    .option('--json', 'print one line of JSON')
    .action(create)

  environments
    .command('list')
    .description('list every environment, archived ones included')
    .option('--json', 'print one line of JSON')
    .action(list)

  environments
    .command('show')
    .description('show all of one environment but its secrets')
    .argument('<id>', 'the environment')
    .option('--json', 'print one line of JSON')
    .action(show)

  environmentChangeCommands(environments)
}

interface CreateOptions extends OutputOptions {
  readonly tag: string
  readonly alg?: Algorithm
}

async function create(name: string, { tag, alg, json }: CreateOptions): Promise<void> {
  const options = { tag, signingAlgorithm: alg === 'default' ? undefined : alg }
  const made = await withInstallation(({ environments }) => environments.create(name, options), {
    mayBegin: true,
  })
  const { environment, keyId, secretKey, publishableKey } = made
  if (json) {
    print(JSON.stringify({ environment: showEnvironment(environment), keyId, secretKey, publishableKey }))
    return
  }
  printRecord({
    environment: `${environment.name} (${environment.id})`,
    'publishable key': publishableKey,
    'secret key': secretKey,
    'its id': keyId,
  })
  print(SHOWN_ONCE)
}

async function list({ json }: OutputOptions): Promise<void> {
  const environments = await withInstallation(({ store }) => store.listEnvironments())
  if (json) {
    print(JSON.stringify({ environments: environments.map(showEnvironment) }))
    return
  }
  printTable(
    ['ID', 'NAME', 'TAG', 'STATE', 'CREATED'],
    environments.map((environment) => [
      environment.id,
      environment.name,
      environment.tag,
      stateOf(environment),
      moment(environment.createdAt),
    ]),
  )
}

async function show(id: string, options: OutputOptions): Promise<void> {
  printEnvironment(await withInstallation((installation) => needEnvironment(installation, id)), options)
}
