import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { momentOf } from '../alerts/alert-record.ts'
import { createReplay, type Replay, type ReplayedAlert } from '../alerts/replay.ts'
import { replayUsage } from '../alerts/replay-usage.ts'
import { HOUR_MINUTES, WHOLE } from '../alerts/spike.ts'
import { systemSeams } from '../seams.ts'
import { UsageError } from './input.ts'
import { needEnvironment } from './lookup.ts'
import { parseMoment } from './option-values.ts'
import { type OutputOptions, print, printTable, withInstallation } from './output.ts'
import { readRecordedMinutes } from './recorded-minutes.ts'

const MINUTE_MS = 60_000
const WEEK_MINUTES = 7 * 1_440

/** `jeton usage replay-alerts` */
export function replayAlertsCommand(usage: Command): void {
  usage
    .command('replay-alerts')
    .description('go through recorded traffic, and show which spikes of issuance would have rung')
    .option('--environment <id>', 'of this environment; otherwise of all')
    .option('--since <moment>', 'from then on: ISO 8601, unix seconds, or how long ago, like 2h')
    .option('--until <moment>', 'before then')
    .option('--file <path>', 'of a file of minutes or journal records, - for standard input')
    .option('--json', 'print one line of JSON')
    .action(replayAlerts)
}

interface ReplayOptions extends OutputOptions {
  readonly environment?: string
  readonly since?: string
  readonly until?: string
  readonly file?: string
}

/** In unix minutes, as far as they were asked for. */
interface Asked {
  readonly environmentId: string | undefined
  readonly from: number | undefined
  readonly to: number | undefined
}

async function replayAlerts({ environment, since, until, file, json }: ReplayOptions): Promise<void> {
  const now = systemSeams.now()
  const asked = {
    environmentId: environment,
    from: since === undefined ? undefined : toMinute(parseMoment('--since', since, now)),
    to: until === undefined ? undefined : toMinute(parseMoment('--until', until, now)),
  }
  const alerts = file === undefined ? await ofUsage(asked, toMinute(now)) : await ofFile(file, asked)
  if (json) print(JSON.stringify({ alerts: alerts.map(shown) }))
  else printAlerts(alerts)
}

async function ofUsage({ environmentId, from, to }: Asked, now: number): Promise<readonly ReplayedAlert[]> {
  return await withInstallation(async (installation) => {
    if (environmentId !== undefined) await needEnvironment(installation, environmentId)
    const time = { environmentId, from: from ?? now - WEEK_MINUTES, to: to ?? now + 1 }
    return await replayUsage(installation.store, time)
  })
}

async function ofFile(path: string, { environmentId, from, to }: Asked): Promise<readonly ReplayedAlert[]> {
  let replay: Replay | undefined
  try {
    for await (const one of readRecordedMinutes(await linesOf(path))) {
      if (environmentId !== undefined && one.environmentId !== environmentId) continue
      if (to !== undefined && one.minute >= to) continue
      // Without a word about it the first hour is history, or all that goes on would seem to begin.
      replay ??= createReplay(from ?? one.minute + HOUR_MINUTES)
      replay.take(one)
    }
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError('The lines must be in the order of their minutes.')
    throw error
  }
  return replay?.end() ?? []
}

async function linesOf(path: string): Promise<AsyncIterable<string>> {
  if (path === '-') return createInterface({ input: process.stdin })
  try {
    return (await open(path)).readLines()
  } catch (error) {
    throw new UsageError(`--file cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function printAlerts(alerts: readonly ReplayedAlert[]): void {
  if (alerts.length === 0) {
    print('Nothing would have rung.')
    return
  }
  printTable(
    ['minute (UTC)', 'environment', 'key', 'issued', 'median', 'peak', 'closed (UTC)', 'why'],
    alerts.map(({ environmentId, keyId, minute, issued, median, peak, closedMinute, why }) => [
      momentOf(minute),
      environmentId,
      keyId === WHOLE ? 'all together' : keyId,
      String(issued),
      String(median),
      String(peak),
      closedMinute === undefined ? 'open' : momentOf(closedMinute),
      why ?? '',
    ]),
  )
}

function shown({ environmentId, keyId, minute, issued, median, peak, closedMinute, why }: ReplayedAlert) {
  return {
    environmentId,
    keyId: keyId === WHOLE ? null : keyId,
    minute: momentOf(minute),
    issued,
    median,
    peak,
    closedMinute: closedMinute === undefined ? null : momentOf(closedMinute),
    why: why ?? null,
  }
}

function toMinute(unixMs: number): number {
  return Math.floor(unixMs / MINUTE_MS)
}
