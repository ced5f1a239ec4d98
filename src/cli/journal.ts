import { type Command, InvalidArgumentError } from 'commander'
import { readConfig } from '../config.ts'
import { dayOf, journalFolder, listInstances } from '../journal/folder.ts'
import { follow } from '../journal/follow.ts'
import { query, type RecordSource } from '../journal/query.ts'
import { type ChainReport, verifyChain } from '../journal/verify.ts'
import { systemSeams } from '../seams.ts'
import { UsageError } from './input.ts'
import { parseMoment } from './option-values.ts'
import { type OutputOptions, print, printAll, printInTime } from './output.ts'
import { recordText } from './shown-record.ts'

const DAY_MS = 86_400_000
const SHA256 = /^[0-9a-f]{64}$/

/** `jeton journal …` */
export function journalCommands(program: Command): void {
  const journal = program.command('journal').description('read the record of issued tokens')

  journal
    .command('verify')
    .description('follow every chain of records, and name the first line that does not fit')
    .option('--anchor <sha256...>', 'hashes from the log or /metrics that must be in one of them')
    .option('--json', 'print one line of JSON')
    .action(verify)

  journal
    .command('query')
    .description('print the records that fit, the oldest first')
    .option('--environment <id>', 'of this environment')
    .option('--key <id>', 'of this key')
    .option('--subject <subject>', 'for this subject')
    .option('--jti <jti>', 'of this token')
    .option('--since <moment>', 'from then on: ISO 8601, unix seconds, or how long ago, like 2h')
    .option('--until <moment>', 'before then')
    .option('--json', 'print each as it stands in its file, a line of JSON')
    .action(ask)

  journal
    .command('tail')
    .description('print the last records, and then every new one until ^C')
    .option('--lines <count>', 'how many of those that are there', parseCount, 10)
    .option('--json', 'print each as it stands in its file, a line of JSON')
    .action(tail)
}

interface VerifyOptions extends OutputOptions {
  readonly anchor?: readonly string[]
}

async function verify({ anchor: anchors = [], json }: VerifyOptions): Promise<void> {
  if (!anchors.every((anchor) => SHA256.test(anchor))) {
    throw new UsageError('--anchor takes a SHA-256 in hex, 64 digits.')
  }
  const { folder, instances, keepDays } = await findJournals()
  const keptSince = dayOf(systemSeams.now() - keepDays * DAY_MS)
  const chains: ChainReport[] = []
  for (const instance of instances) {
    const chain = await verifyChain(folder, instance, { keptSince, anchors })
    chains.push(chain)
    if (!json) printChain(chain)
  }
  const found = new Set(chains.flatMap((chain) => chain.anchors))
  const missing = anchors.filter((anchor) => !found.has(anchor))
  if (json) print(JSON.stringify({ chains, missingAnchors: missing }))
  else {
    for (const anchor of missing) print(`${anchor} is in none: records were removed, or written anew.`)
  }
  if (missing.length > 0 || chains.some(({ broken }) => broken !== undefined)) process.exitCode = 1
}

function printChain({ instance, files, records, from, until, head, broken, notes }: ChainReport): void {
  const state = broken === undefined ? 'whole ' : 'BROKEN'
  print(`${instance}  ${state}  ${records} records in ${files} files, ${from ?? '-'} to ${until ?? '-'}`)
  if (head !== undefined) print(`  ends with record ${head.n}, ${head.sha256}`)
  for (const note of notes) print(`  ${note}`)
  if (broken === undefined) return
  const { file, line, reason, detail } = broken
  print(`  ${file}${line === undefined ? '' : `, line ${line}`}: ${reason}. ${detail}`)
}

interface AskOptions extends OutputOptions {
  readonly environment?: string
  readonly key?: string
  readonly subject?: string
  readonly jti?: string
  readonly since?: string
  readonly until?: string
}

async function ask({ environment, key, subject, jti, since, until, json }: AskOptions): Promise<void> {
  const now = systemSeams.now()
  const question = {
    environmentId: environment,
    keyId: key,
    subject,
    jti,
    since: since === undefined ? undefined : parseMoment('--since', since, now),
    until: until === undefined ? undefined : parseMoment('--until', until, now),
  }
  const { folder } = await findJournals()
  await printAll(textsOf(query(folder, question), json))
}

async function* textsOf(found: RecordSource, json = false): AsyncGenerator<string> {
  for await (const { line } of found) yield json ? line : recordText(line)
}

async function tail({ lines, json }: OutputOptions & { lines: number }): Promise<void> {
  const { folder } = await findJournals()
  const ending = new AbortController()
  process.once('SIGINT', () => ending.abort()).once('SIGTERM', () => ending.abort())
  for await (const { line } of follow(folder, lines, ending.signal)) {
    if (!(await printInTime(`${json ? line : recordText(line)}\n`))) return
  }
}

/** @throws UsageError when there is no journal in the data folder */
async function findJournals() {
  const { dataDir, journalKeepDays: keepDays } = readConfig()
  const folder = journalFolder(dataDir)
  const instances = await listInstances(folder)
  if (instances.length > 0) return { folder, instances, keepDays }
  throw new UsageError(`There is no journal in ${folder}: set DATA_DIR to where yours is.`)
}

function parseCount(value: string): number {
  if (/^\d{1,6}$/.test(value)) return Number(value)
  throw new InvalidArgumentError('It must be a whole number.')
}
