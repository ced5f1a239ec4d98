import type { Command } from 'commander'
import { KEY_RANDOM_BYTES, writeKey } from '../domain/api-key.ts'
import { systemSeams } from '../seams.ts'
import { print } from './output.ts'

/** Bytes of a master key: the key of AES-256. */
const MASTER_KEY_BYTES = 32

/** `jeton secrets …` */
export function secretCommands(program: Command): void {
  const secrets = program.command('secrets').description('make the secrets that an installation starts from')

  secrets
    .command('create')
    .description('print a new MASTER_KEY and ADMIN_KEY as lines for an .env file; nothing keeps them')
    .action(create)
}

function create(): void {
  const { random } = systemSeams
  print(`MASTER_KEY=${Buffer.from(random(MASTER_KEY_BYTES)).toString('base64')}`)
  print(`ADMIN_KEY=${writeKey('admin', undefined, random(KEY_RANDOM_BYTES))}`)
}
