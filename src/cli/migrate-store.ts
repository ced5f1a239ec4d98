import type { Command } from 'commander'
import { readDatabaseUrl } from '../config.ts'
import { moveInstallation } from '../maintenance.ts'
import { systemSeams } from '../seams.ts'
import { operator } from './operator.ts'
import { type OutputOptions, print, printTable } from './output.ts'

/** `jeton migrate-store` */
export function migrateStoreCommand(program: Command): void {
  program
    .command('migrate-store')
    .description(
      'move an installation from its embedded database to an empty PostgreSQL, whole or not at all',
    )
    .argument('<from>', 'the data folder, or the file of a database or a backup; it stays as it is')
    .argument('[to]', 'postgres://…; left out, it is DATABASE_URL, which other users do not see in `ps`')
    .option('--json', 'print one line of JSON')
    .action(migrateStore)
}

async function migrateStore(from: string, to: string | undefined, { json }: OutputOptions): Promise<void> {
  const moved = await moveInstallation(from, readDatabaseUrl(to), {
    seams: systemSeams,
    actor: operator(),
  })
  if (json) {
    print(JSON.stringify(moved))
    return
  }
  printTable(
    ['TABLE', 'ROWS'],
    Object.entries(moved.rows).map(([table, count]) => [table, String(count)]),
  )
  print(`The database ${moved.to} holds all of this now, compared row by row.`)
  print(
    'Start every Jeton with DATABASE_URL, and with the same master key: MASTER_KEY, or a copy of master.key',
  )
  print(
    'in its DATA_DIR. The old database is as it was. Start none on it again: it learns of no revocation more.',
  )
}
