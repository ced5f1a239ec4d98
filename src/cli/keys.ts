import type { Command } from 'commander'
import type { ApiKey } from '../store/store.ts'
import { moment, type OutputOptions, print, printTable, withInstallation } from './output.ts'

/** `jeton keys …` */
export function keyCommands(program: Command): void {
  const keys = program.command('keys').description('list the keys of environments')

  keys
    .command('list')
    .description('list secret and publishable keys, ended ones included')
    .option('--environment <id>', 'only those of this environment')
    .option('--json', 'print one line of JSON')
    .action(list)
}

async function list({ environment, json }: OutputOptions & { environment?: string }): Promise<void> {
  const found = await withInstallation(({ store }) => store.listApiKeys(environment))
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

function stateOf({ revokedAt, expiresAt }: ApiKey, now: number): 'active' | 'expired' | 'revoked' {
  if (revokedAt !== undefined && revokedAt <= now) return 'revoked'
  return expiresAt !== undefined && expiresAt <= now ? 'expired' : 'active'
}
