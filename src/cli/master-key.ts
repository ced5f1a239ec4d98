import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { rotateMasterKey } from '../maintenance.ts'
import { systemSeams } from '../seams.ts'
import { confirm } from './input.ts'
import { operator } from './operator.ts'
import { print } from './output.ts'

/** `jeton master-key …` */
export function masterKeyCommands(program: Command): void {
  const masterKey = program.command('master-key').description('what seals the secrets in the database')

  masterKey
    .command('rotate')
    .description('seal the database under the first key of MASTER_KEY=new,old, or else under a generated one')
    .option('--yes', 'do not ask')
    .action(rotate)
}

/** What to do next, by what was done. */
const NEXT = {
  resealed:
    'The database is sealed under the first key of MASTER_KEY. Take the second one out wherever MASTER_KEY is set.',
  sealed_already:
    'The database was sealed under the first key of MASTER_KEY already. Take the second one out wherever MASTER_KEY is set.',
  generated: 'The database is sealed under a new key, which alone is in master.key now.',
} as const

async function rotate({ yes }: { yes?: boolean }): Promise<void> {
  const config = readConfig()
  if (config.masterKeys.length === 0) {
    const loss = 'Backups made so far open only with the key that is in master.key now.'
    await confirm(`${loss} It is replaced; copy it first if you want to keep them.`, { yes })
  }
  print(NEXT[await rotateMasterKey(config, { seams: systemSeams, actor: operator() })])
  print('Running servers go on. A backup made before needs the old key: make a new one now.')
}
