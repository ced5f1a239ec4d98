import { type Command, InvalidArgumentError } from 'commander'
import { type Config, readConfig, StartError } from '../config.ts'
import { openChangeRecords } from '../installation.ts'
import { queryChanges } from '../journal/changes.ts'
import { dayOf, journalFolder, listInstances } from '../journal/folder.ts'
import { follow } from '../journal/follow.ts'
import { mergeByTime, query, type RecordSource } from '../journal/query.ts'
import { type ChainReport, verifyChain } from '../journal/verify.ts'
import { type ChangesReport, verifyChanges } from '../journal/verify-changes.ts'
import { systemSeams } from '../seams.ts'
import type { ChangeRecords } from '../store/store.ts'
import { UsageError } from './input.ts'
import { parseMoment } from './option-values.ts'
import { type OutputOptions, print, printAll, printInTime } from './output.ts'
import { recordText } from './shown-record.ts'

const DAY_MS = 86_400_000
const SHA256 = /^[0-9a-f]{64}$/

/** `jeton journal …` */
export function journalCommands(program: Command): void {
  const journal = program.command('journal').description('read the records of issued tokens and of changes')

  journal
    .command('verify')
    .description('follow every chain of records, and name the first one that does not fit')
    .option('--anchor <sha256...>', 'hashes from the log or /metrics that must be in one of them')
    .option('--json', 'print one line of JSON')
    .action(verify)

  journal
    .command('query')
    .description('print the records of tokens and changes that fit, the oldest first')
    .option('--environment <id>', 'of this environment')
    .option('--key <id>', 'of this key, and what was changed with it')
    .option('--subject <subject>', 'for this subject')
    .option('--jti <jti>', 'of this token')
    .option('--since <moment>', 'from then on: ISO 8601, unix seconds, or how long ago, like 2h')
    .option('--until <moment>', 'before then')
    .option('--json', 'print each as it is kept, a line of JSON')
    .action(ask)

  journal
    .command('tail')
    .description('print the last records, and then every new one until ^C')
    .option('--lines <count>', 'how many of those that are there', parseCount, 10)
    .option('--json', 'print each as it is kept, a line of JSON')
    .action(tail)
}

interface VerifyOptions extends OutputOptions {
  readonly anchor?: readonly string[]
}

async function verify({ anchor: anchors = [], json }: VerifyOptions): Promise<void> {
  if (!anchors.every((anchor) => SHA256.test(anchor))) {
    throw new UsageError('--anchor takes a SHA-256 in hex, 64 digits.')
  }
  await withRecords(async ({ folder, instances, keepDays, records }) => {
    const keptSince = dayOf(systemSeams.now() - keepDays * DAY_MS)
    const chains: ChainReport[] = []
    for (const instance of instances) {
      const chain = await verifyChain(folder, instance, { keptSince, anchors })
      chains.push(chain)
      if (!json) printChain(chain)
    }
    const changes = records && (await verifyChanges(records, anchors))
    if (changes !== undefined && !json) printChanges(changes)
    const reports = [...chains, ...(changes === undefined ? [] : [changes])]
    const found = new Set(reports.flatMap((report) => report.anchors))
    const missing = anchors.filter((anchor) => !found.has(anchor))
    if (json) print(JSON.stringify({ chains, changes, missingAnchors: missing }))
    else {
      for (const anchor of missing) print(`${anchor} is in none: records were removed, or written anew.`)
    }
    if (missing.length > 0 || reports.some(({ broken }) => broken !== undefined)) process.exitCode = 1
  })
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

function printChanges({ records, from, until, head, broken }: ChangesReport): void {
  const state = broken === undefined ? 'whole ' : 'BROKEN'
  print(`database  ${state}  ${records} records of changes, ${from ?? '-'} to ${until ?? '-'}`)
  if (head !== undefined) print(`  ends with record ${head.n} of revision ${head.revision}, ${head.sha256}`)
  if (broken !== undefined) print(`  revision ${broken.revision}: ${broken.reason}. ${broken.detail}`)
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
  await withRecords(async ({ folder, records }) => {
    const tokens = query(folder, question)
    const all = records === undefined ? tokens : mergeByTime([tokens, queryChanges(records, question)])
    await printAll(textsOf(all, json))
  })
}

async function* textsOf(found: RecordSource, json = false): AsyncGenerator<string> {
  for await (const { line } of found) yield json ? line : recordText(line)
}

async function tail({ lines, json }: OutputOptions & { lines: number }): Promise<void> {
  await withRecords(async ({ folder, records }) => {
    const ending = new AbortController()
    process.once('SIGINT', () => ending.abort()).once('SIGTERM', () => ending.abort())
    for await (const { line } of follow(folder, lines, ending.signal, records, tellFault)) {
      if (!(await printInTime(`${json ? line : recordText(line)}\n`))) return
    }
  })
}

function tellFault(fault: unknown): void {
  if (fault === undefined) {
    process.stderr.write('Records of changes can be read again.\n')
    return
  }
  if (!(fault instanceof StartError)) throw fault
  process.stderr.write(`${fault.message}\nRecords of changes are left out until they can be read.\n`)
  process.exitCode = 1
}

/** Where records are. */
interface Journals {
  readonly folder: string
  readonly instances: readonly string[]
  readonly keepDays: number
  /** Of changes; `undefined` where there is no database, or it cannot be read. */
  readonly records: ChangeRecords | undefined
}

/** @throws UsageError when there is neither a journal nor a database */
async function withRecords(work: (journals: Journals) => Promise<void>): Promise<void> {
  const config = readConfig()
  const folder = journalFolder(config.dataDir)
  const instances = await listInstances(folder)
  const records = await findRecords(config)
  try {
    if (instances.length === 0 && records === undefined) {
      throw new UsageError(`There is no journal in ${folder}: set DATA_DIR to where yours is.`)
    }
    await work({ folder, instances, keepDays: config.journalKeepDays, records })
  } finally {
    await records?.close()
  }
}

// Files can be read while the database is away; who reads them has to know what is not among them.
async function findRecords(config: Config): Promise<ChangeRecords | undefined> {
  try {
    return await openChangeRecords(config)
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    process.stderr.write(`${error.message}\nRecords of changes are left out.\n`)
    process.exitCode = 1
    return undefined
  }
}

function parseCount(value: string): number {
  if (/^\d{1,6}$/.test(value)) return Number(value)
  throw new InvalidArgumentError('It must be a whole number.')
}
