import type { ConfigReport } from '../config.ts'
import { databasePath } from '../installation.ts'
import type { Seams } from '../seams.ts'
import { type Inspection, inspect } from '../store/inspect.ts'
import { inspectPostgres, type PostgresInspection } from '../store/inspect-postgres.ts'
import { StoreError } from '../store/migrate.ts'
import { type Check, mend, ok, reasonOf } from './check.ts'
import { CLOCK_TOLERANCE_MS } from './clock.ts'

/** What was found out about the database. */
export interface Examined {
  readonly checks: Check[]
  readonly inspection: Inspection | undefined
}

export async function examineDatabase(
  report: Pick<ConfigReport, 'dataDir' | 'databaseUrl' | 'isEmbedded'>,
  { now }: Pick<Seams, 'now'>,
): Promise<Examined> {
  if (report.isEmbedded) return examineFile(databasePath(report))
  // What is wrong with the URL itself, the configuration's own check has said.
  if (report.databaseUrl === undefined) return { inspection: undefined, checks: [] }
  try {
    const inspection = await inspectPostgres(report.databaseUrl)
    return { inspection, checks: checksOf(inspection, now()) }
  } catch (error) {
    const how =
      'see to it that PostgreSQL runs, lets this user in and is the one that DATABASE_URL should name; if a newer Jeton wrote it, start that one'
    const what = error instanceof StoreError ? error.message : `it cannot be read: ${reasonOf(error)}`
    return { inspection: undefined, checks: [mend(what, how)] }
  }
}

function checksOf({ address, server, sealedDataKey }: PostgresInspection, now: number): Check[] {
  const what = `the database ${address.name} (PostgreSQL ${server.version}, schema ${server.schema})`
  const apart = Math.round(Math.abs(now - server.now) / 1000)
  return [
    sealedDataKey === undefined
      ? mend(`${what} holds no Jeton yet`, 'start Jeton once, or `jeton migrate-store` one into it')
      : ok(`${what} can be read`),
    ...(server.readOnly
      ? [mend(`${what} takes no changes: a standby, or set to read only`, 'name the primary in DATABASE_URL')]
      : []),
    address.isEncrypted || !address.isRemote
      ? ok('the way to the database is encrypted, or on this machine')
      : ok(
          'the way to the database is not encrypted; outside a network of your own, use sslmode=verify-full',
        ),
    apart * 1000 <= CLOCK_TOLERANCE_MS
      ? ok('the clock agrees with the database’s')
      : mend(`the clock and the database’s are ${apart} s apart`, 'let both machines follow a time server'),
  ]
}

function examineFile(path: string): Examined {
  try {
    return { inspection: inspect(path), checks: [ok(`the database ${path} is whole`)] }
  } catch (error) {
    const how =
      'start Jeton once for a new one, or `jeton restore` a backup; if a newer Jeton wrote it, start that one'
    const what = error instanceof StoreError ? error.message : `${path} cannot be read: ${reasonOf(error)}`
    return { inspection: undefined, checks: [mend(what, how)] }
  }
}
