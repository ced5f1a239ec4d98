import type { Command } from 'commander'
import { stateOf } from '../domain/key-life.ts'
import { readGrant, UsageError } from './input.ts'
import { moment, type OutputOptions, print, printTable, withInstallation } from './output.ts'

/** `jeton keys …` */
export function keyCommands(program: Command): void {
  const keys = program.command('keys').description('make, limit and list the keys of environments')

  keys
    .command('create')
    .description('make a secret key, limited to a grant if one is given')
    .requiredOption('--environment <id>', 'the environment that it is of')
    .option('--grant <file>', 'JSON that says what its tokens may hold at most; - is standard input')
    .option('--json', 'print one line of JSON')
    .action(create)

  keys
    .command('update')
    .description('give a secret key another grant')
    .argument('<id>', 'the key, kid_…')
    .option('--grant <file>', 'JSON that says what its tokens may hold at most; - is standard input')
    .option('--no-grant', 'limit it no longer')
    .action(update)

  keys
    .command('list')
    .description('list secret and publishable keys, ended ones included')
    .option('--environment <id>', 'only those of this environment')
    .option('--json', 'print one line of JSON')
    .action(list)
}

async function create({ environment, grant, json }: OutputOptions & { environment: string; grant?: string }) {
  const ceiling = grant === undefined ? undefined : await readGrant(grant)
  const { row, text } = await withInstallation(({ keyLives }) =>
    keyLives.create(environment, { kind: 'secret', grant: ceiling }),
  )
  if (json) {
    print(JSON.stringify({ keyId: row.id, secretKey: text }))
    return
  }
  print(`secret key  ${text}`)
  print(`its id      ${row.id}`)
  print('The secret key is shown this once and kept nowhere.')
}

async function update(id: string, { grant }: { grant?: string | boolean }): Promise<void> {
  if (grant === undefined || grant === true) throw new UsageError('Say --grant FILE or --no-grant.')
  const ceiling = grant === false ? undefined : await readGrant(grant)
  await withInstallation(({ keyLives }) => keyLives.update(id, { grant: ceiling }))
}

async function list({ environment, json }: OutputOptions & { environment?: string }): Promise<void> {
  const found = await withInstallation(async ({ store }) => {
    const environments = await store.listEnvironments()
    if (environment !== undefined && !environments.some(({ id }) => id === environment)) {
      throw new UsageError('There is no such environment.')
    }
    return await store.listApiKeys(environment)
  })
  const keys = found.map((key) => ({
    id: key.id,
    environmentId: key.environmentId,
    kind: key.kind,
    key: key.text ?? key.hint,
    state: stateOf(key, Date.now()),
    exposed: key.exposedAt !== undefined,
    createdAt: key.createdAt,
  }))
  if (json) {
    print(JSON.stringify({ keys }))
    return
  }
  printTable(
    ['ID', 'ENVIRONMENT', 'KIND', 'KEY', 'STATE', 'EXPOSED', 'CREATED'],
    keys.map((key) => [
      key.id,
      key.environmentId,
      key.kind,
      key.key,
      key.state,
      key.exposed ? 'yes' : 'no',
      moment(key.createdAt),
    ]),
  )
}
