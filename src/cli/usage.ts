import { type Command, Option } from 'commander'
import { systemSeams } from '../seams.ts'
import { reportUsage, showUsage, type UsageReport } from '../usage/report.ts'
import { STEP_NAMES, STEPS, type Step, wholeSteps } from '../usage/span.ts'
import { UsageError } from './input.ts'
import { needEnvironment } from './lookup.ts'
import { parseMoment } from './option-values.ts'
import { moment, type OutputOptions, print, printTable, withInstallation } from './output.ts'
import { replayAlertsCommand } from './replay-alerts.ts'
import { sparkline } from './sparkline.ts'

const MINUTE_MS = 60_000

/** A terminal has at least so many columns. */
const SPARKLINE_WIDTH = 72

/** `jeton usage` */
export function usageCommand(program: Command): void {
  const usage = program
    .command('usage')
    .description('count issued tokens, refusals and subjects, as the database tells: of all processes')
    .option('--environment <id>', 'of this environment')
    .option('--key <id>', 'of this key alone')
    .option('--since <moment>', 'from then on: ISO 8601, unix seconds, or how long ago, like 2h')
    .option('--until <moment>', 'before then')
    .addOption(
      new Option('--step <step>', 'how long each row is, in UTC').choices(STEP_NAMES).default('hour'),
    )
    .option('--json', 'print one line of JSON')
    .enablePositionalOptions()
    .action(report)
  replayAlertsCommand(usage)
}

interface UsageOptions extends OutputOptions {
  readonly environment?: string
  readonly key?: string
  readonly since?: string
  readonly until?: string
  readonly step: Step
}

async function report({ environment, key: keyId, since, until, step, json }: UsageOptions): Promise<void> {
  if (environment === undefined) throw new UsageError('--environment must say of which one.')
  const now = systemSeams.now()
  const asked = {
    from: since === undefined ? undefined : parseMoment('--since', since, now),
    to: until === undefined ? undefined : parseMoment('--until', until, now),
    step,
  }
  const span = wholeSteps(asked, now)
  const question = { environmentId: environment, keyId, step, ...span }
  const found = await withInstallation(async (installation) => {
    await needEnvironment(installation, environment)
    return await reportUsage(installation.store, question)
  })
  if (json) print(JSON.stringify(showUsage(question, found)))
  else printReport(found, step)
}

function printReport({ points, sums, sumsLeftOut }: UsageReport, step: Step): void {
  const issued = points.map((point) => point.issued)
  const highest = Math.max(0, ...issued)
  print(`issued  ${sparkline(issued, SPARKLINE_WIDTH)}  at most ${highest} per ${step}`)
  print('')
  // A long time is mostly empty.
  const busy = points.filter((point) => point.issued + point.refused > 0)
  const isBySubjects = points.some(({ subjects }) => subjects !== undefined)
  printTable(
    [`${step} (UTC)`, 'issued', 'refused', ...(isBySubjects ? ['subjects'] : [])],
    busy.map(({ minute, issued: count, refused, subjects }) => [
      momentOf(minute, step),
      String(count),
      String(refused),
      ...(isBySubjects ? [`about ${subjects ?? 0}`] : []),
    ]),
  )
  print('')
  printTable(
    ['key', 'format', 'outcome', 'count'],
    sums.map((sum) => [sum.keyId, sum.format, sum.outcome, String(sum.count)]),
  )
  if (sumsLeftOut > 0) print(`… and ${sumsLeftOut} more`)
}

function momentOf(minute: number, step: Step): string {
  const text = moment(minute * MINUTE_MS)
  return STEPS[step].minutes === STEPS.day.minutes ? text.slice(0, 10) : text.replace(/:\d\dZ$/, 'Z')
}
