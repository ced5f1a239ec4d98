import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { backUpInstallation, restoreInstallation } from '../maintenance.ts'
import { systemSeams } from '../seams.ts'
import { confirm } from './input.ts'
import { operator } from './operator.ts'
import { moment, type OutputOptions, print, printTable, toSeconds } from './output.ts'

/** `jeton backup` and `jeton restore` */
export function backupCommands(program: Command): void {
  program
    .command('backup')
    .description('copy the database into a file, while servers go on; the master key is not in it')
    .argument('<file>', 'appears whole or not at all')
    .option('--force', 'put it in the place of a file that is there')
    .action(backUp)

  program
    .command('restore')
    .description('put a backup in the place of the database; what has ended since then ends again')
    .argument('<file>', 'what `jeton backup` made')
    .option('--yes', 'do not ask')
    .option('--json', 'print one line of JSON')
    .action(restore)
}

async function backUp(file: string, { force = false }: { force?: boolean }): Promise<void> {
  await backUpInstallation(readConfig(), file, { force, seams: systemSeams })
  print(
    `${file} holds the database. It opens under the present master key alone: keep that as well, elsewhere.`,
  )
}

/** What a row of the database is, in the words of this program. */
const NAMES = { environment: 'environment', api_key: 'key', signing_key: 'signing key' } as const

const ENDS = {
  archived_at: 'archived',
  revoked_at: 'revoked',
  expires_at: 'expires',
  signs_until: 'signs until',
  verifies_until: 'verifies until',
} as const

async function restore(file: string, { yes, json }: OutputOptions & { yes?: boolean }): Promise<void> {
  const config = readConfig()
  const question = `This puts ${file} in the place of the database in ${config.dataDir}: what was made since is gone then.`
  await confirm(question, { yes })
  const { revision, replaced, renewed, revocations, ...told } = await restoreInstallation(config, file, {
    seams: systemSeams,
    actor: operator(),
  })
  const ended = told.ended.map(({ table, id, label, end, at }) => ({
    kind: NAMES[table],
    id,
    label,
    end: ENDS[end],
    at,
  }))
  const exposed = told.exposed.map(({ table, id, label, at }) => ({ kind: NAMES[table], id, label, at }))
  const kept = told.kept.map(({ table, id, label, named }) => ({ kind: NAMES[table], id, label, named }))
  const vanished = told.vanished.map(({ table, id, label, sealedOtherwise }) => ({
    kind: NAMES[table],
    id,
    label,
    sealedOtherwise,
  }))
  if (json) {
    print(
      JSON.stringify({
        revision,
        replaced,
        ended: ended.map(({ at, ...end }) => ({ ...end, at: toSeconds(at) })),
        exposed: exposed.map(({ at, ...key }) => ({ ...key, at: toSeconds(at) })),
        kept,
        vanished,
        revocations,
        renewed: renewed.map(({ environmentId, algorithm, kid }) => ({ environmentId, algorithm, kid })),
      }),
    )
    return
  }
  print(`The database is the one of ${file} now, at revision ${revision}.`)
  if (replaced === 'damaged') {
    print(
      'What it replaced could not be read to its end. It lies beside it as jeton.db.damaged. Something that was',
    )
    print('revoked after the backup may be alive again: look through `jeton keys list`.')
  }
  if (revocations > 0) print(`Revocations of tokens that were taken over: ${revocations}`)
  for (const { environmentId, algorithm, kid } of renewed) {
    print(`No ${algorithm} key of ${environmentId} was left to sign; a new one does: ${kid}`)
  }
  if (vanished.some(({ sealedOtherwise }) => sealedOtherwise)) {
    print(
      'A successor whose text is sealed under another data key could not be kept: make a key in its place.',
    )
  }
  if (ended.length + exposed.length + kept.length + vanished.length === 0) return
  printTable(
    ['WHAT', 'ID', 'NAME', 'NOW', 'AT'],
    [
      ...ended.map(({ kind, id, label, end, at }) => [kind, id, label, end, moment(at)]),
      ...exposed.map(({ kind, id, label, at }) => [kind, id, label, 'exposed', moment(at)]),
      ...kept.map(({ kind, id, label, named }) => [kind, id, label, named ? 'kept' : 'kept, nameless', '']),
      ...vanished.map(({ kind, id, label, sealedOtherwise }) => [
        kind,
        id,
        label,
        sealedOtherwise ? 'gone, sealed otherwise' : 'gone',
        '',
      ]),
    ],
  )
}
