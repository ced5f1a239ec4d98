import type { Command } from 'commander'
import { DEFAULT_TAG } from '../domain/environment.ts'
import { moment, type OutputOptions, print, printTable, withInstallation } from './output.ts'

/** `jeton environments …` */
export function environmentCommands(program: Command): void {
  const environments = program.command('environments').description('make and list environments')

  environments
    .command('create')
    .description('make an environment with one secret, one publishable and two signing keys')
    .argument('<name>', '1 to 80 characters, used by no other environment')
    .option('--tag <tag>', 'stands in the text of its keys: 1 to 8 of a-z and 0-9', DEFAULT_TAG)
    .option('--json', 'print one line of JSON')
    .action(create)

  environments
    .command('list')
    .description('list every environment')
    .option('--json', 'print one line of JSON')
    .action(list)
}

async function create(name: string, { tag, json }: OutputOptions & { tag: string }): Promise<void> {
  const made = await withInstallation(({ environments }) => environments.create(name, tag))
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
