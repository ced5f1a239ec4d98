import { type Command, Option } from 'commander'
import { accessSchema } from '../formats/access.ts'
import { grantSchema } from '../formats/grant.ts'
import type { ApiKey } from '../store/store.ts'
import { readJson, UsageError } from './input.ts'
import { keyEndCommands } from './key-ends.ts'
import { needEnvironment, needKey } from './lookup.ts'
import { parseExpiry, parseName } from './option-values.ts'
import { type OutputOptions, withInstallation } from './output.ts'
import { printKey, printKeys, printMadeKey } from './shown-key.ts'

/** `jeton keys …` */
export function keyCommands(program: Command): void {
  const keys = program.command('keys').description('make, limit, rotate, end and list keys')

  keys
    .command('create')
    .description('make a key: a secret one for a backend, or a publishable one for browsers')
    .requiredOption('--environment <id>', 'the environment that it is of')
    .addOption(new Option('--kind <kind>', 'which of the two').choices(KINDS).default('secret'))
    .option('--name <name>', 'what people call it, 1 to 80 characters', parseName)
    .option('--grant <file>', GRANT)
    .option('--access <file>', ACCESS)
    .option('--expires-at <moment>', EXPIRY, parseExpiry)
    .option('--local-signing', 'let the holder of a secret key sign channels tokens by itself')
    .option('--json', 'print one line of JSON')
    .action(create)

  keys
    .command('update')
    .description('change what a key carries; what is not named stays as it is')
    .argument('<id>', 'the key, kid_…')
    .option('--name <name>', 'what people call it, 1 to 80 characters', parseName)
    .option('--no-name', 'take its name away')
    .option('--grant <file>', GRANT)
    .option('--no-grant', 'limit it no longer')
    .option('--access <file>', ACCESS)
    .option('--no-access', 'let it do nothing by itself: it names its environment alone')
    .option('--expires-at <moment>', EXPIRY, parseExpiry)
    .option('--no-expires-at', 'let it live until it is revoked')
    .option('--json', 'print one line of JSON')
    .action(update)

  keys
    .command('list')
    .description('list secret and publishable keys, ended ones included')
    .option('--environment <id>', 'only those of this environment')
    .option('--json', 'print one line of JSON')
    .action(list)

  keys
    .command('show')
    .description('show all of one key but a secret key’s text')
    .argument('<id>', 'the key, kid_…')
    .option('--json', 'print one line of JSON')
    .action(show)

  keyEndCommands(keys)
}

const KINDS = ['secret', 'publishable'] as const satisfies readonly ApiKey['kind'][]
const GRANT = 'JSON that says what the tokens of a secret key may hold at most; - is standard input'
const ACCESS = 'JSON that says what a publishable key lets its holder do; - is standard input'
const EXPIRY = 'when it ends by itself: unix seconds, or like 2027-01-31T12:00:00Z'

interface Carried {
  readonly name?: string
  readonly grant?: string
  readonly access?: string
  readonly expiresAt?: number
}

interface CreateOptions extends Carried, OutputOptions {
  readonly environment: string
  readonly kind: ApiKey['kind']
  readonly localSigning?: boolean
}

async function create({ environment, kind, localSigning, json, ...carried }: CreateOptions): Promise<void> {
  const draft = { kind, localSigning, ...(await readCarried(carried)) }
  printMadeKey(await withInstallation(({ keyLives }) => keyLives.create(environment, draft)), { json })
}

/** `--no-…` is `false`. */
type Change = { readonly [Member in keyof Carried]: Carried[Member] | false }

async function update(id: string, { json, ...asked }: Change & OutputOptions): Promise<void> {
  const change = await readCarried(asked)
  if (Object.keys(change).length === 0) {
    throw new UsageError('Say what to change: --name, --grant, --access or --expires-at, or --no-… of one.')
  }
  printKey(await withInstallation(({ keyLives }) => keyLives.update(id, change)), { json })
}

// A member that was not named is not there. One that is `undefined` is taken away.
async function readCarried({ name, grant, access, expiresAt }: Change) {
  return {
    ...(name === undefined ? {} : { name: name === false ? undefined : name }),
    ...(grant === undefined
      ? {}
      : { grant: grant ? await readJson(grant, grantSchema, 'grant') : undefined }),
    ...(access === undefined
      ? {}
      : { access: access ? await readJson(access, accessSchema, 'access') : undefined }),
    ...(expiresAt === undefined ? {} : { expiresAt: expiresAt === false ? undefined : expiresAt }),
  }
}

async function list({ environment, json }: OutputOptions & { environment?: string }): Promise<void> {
  const keys = await withInstallation(async (installation) => {
    if (environment !== undefined) await needEnvironment(installation, environment)
    return await installation.store.listApiKeys(environment)
  })
  printKeys(keys, { json })
}

async function show(id: string, options: OutputOptions): Promise<void> {
  printKey(await withInstallation((installation) => needKey(installation, id)), options)
}
