import { X509Certificate } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, type ConfigReport, checkConfig } from './config.ts'
import type { Tls } from './config-files.ts'
import { databasePath, knownMasterKeys } from './installation.ts'
import { masterKeyOf } from './keys/data-key.ts'
import type { Seams } from './seams.ts'
import { type Inspection, inspect } from './store/inspect.ts'
import { inspectPostgres, type PostgresInspection } from './store/inspect-postgres.ts'
import { StoreError } from './store/migrate.ts'

/** One thing that was looked at. */
export interface Check {
  readonly state: 'ok' | 'mend'
  readonly what: string
  /** How to mend it. */
  readonly how?: string
}

/** How far the clock may be behind what other clocks wrote into the database. */
const CLOCK_TOLERANCE_MS = 60_000
/** No clock that is right says less than this. */
const OLDEST_NOW = Date.UTC(2026, 0, 1)
const NEWEST_NOW = Date.UTC(2100, 0, 1)

const CERTIFICATE_TOLERANCE_MS = 14 * 86_400_000

/** Looks at everything that a start depends on. It changes nothing, and goes on where something is wrong. */
export async function examine(seams: Seams): Promise<Check[]> {
  const report = checkConfig()
  const { checks, inspection } = await examineDatabase(report, seams)
  return [
    ...examineConfig(report),
    ...examineFolder(report.dataDir),
    ...checks,
    ...(await examineMasterKey(report, inspection, seams)),
    examineClock(seams.now(), inspection),
    ...examineTls(report.tls, seams.now()),
    ...(report.config === undefined ? [] : examinePublicUrl(report.config)),
    ...(report.config === undefined ? [] : [examineAdminKey(report.config, inspection)]),
  ]
}

function examineConfig({ faults }: ConfigReport): Check[] {
  if (faults.length === 0) return [ok('the configuration is valid')]
  return faults.map((fault) => mend(`configuration: ${fault}`, 'change or set that variable'))
}

function examineFolder(dataDir: string): Check[] {
  try {
    if (!statSync(dataDir).isDirectory()) {
      return [mend(`DATA_DIR ${dataDir} is no folder`, 'set DATA_DIR to one')]
    }
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    const how =
      'start Jeton once, which makes it, or set DATA_DIR to where it is, and let Jeton’s user write there'
    return [mend(`DATA_DIR ${dataDir} cannot be used: ${reasonOf(error)}`, how)]
  }
  return [ok(`DATA_DIR ${dataDir} can be written to`), ...examineModes(dataDir)]
}

function examineModes(dataDir: string): Check[] {
  return ['', 'jeton.db', 'jeton.db-wal', 'master.key'].flatMap((name) => {
    const path = join(dataDir, name)
    const mode = statSync(path, { throwIfNoEntry: false })?.mode
    if (mode === undefined) return []
    const wanted = name === '' ? '700' : '600'
    if ((mode & 0o077) === 0) return [ok(`${path} is its owner’s alone`)]
    const found = (mode & 0o777).toString(8)
    return [mend(`${path} has mode ${found}: others may reach it`, `chmod ${wanted} ${path}`)]
  })
}

interface Examined {
  readonly checks: Check[]
  readonly inspection: Inspection | undefined
}

async function examineDatabase(report: ConfigReport, { now }: Seams): Promise<Examined> {
  if (report.isEmbedded) return examineFile(databasePath(report))
  // What is wrong with the URL itself, the configuration's own check has said.
  if (report.databaseUrl === undefined) return { inspection: undefined, checks: [] }
  try {
    const inspection = await inspectPostgres(report.databaseUrl)
    return { inspection, checks: checksOf(inspection, now()) }
  } catch (error) {
    const how = 'see to it that PostgreSQL runs and lets this user in; DATABASE_URL says where it is'
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

async function examineMasterKey(
  { masterKeys, dataDir }: ConfigReport,
  inspection: Inspection | undefined,
  seams: Seams,
): Promise<Check[]> {
  if (masterKeys === undefined || inspection?.sealedDataKey === undefined) return []
  try {
    const known = await knownMasterKeys({ masterKeys, dataDir })
    const inUse = masterKeyOf(inspection.sealedDataKey, known, seams)
    if (known.length === 1) return [ok('the master key opens the database')]
    return inUse === known[0]
      ? [mend('two master keys are known, and the second is no longer needed', afterRotation(masterKeys))]
      : [mend('the database is sealed under the second master key', 'run `jeton master-key rotate`')]
  } catch (error) {
    const how = 'set MASTER_KEY to the key that the data was made under, or put its master.key back'
    return [mend(`the master key does not open the database: ${reasonOf(error)}`, how)]
  }
}

function afterRotation(configured: readonly Uint8Array[]): string {
  return configured.length > 0
    ? 'take it out of MASTER_KEY'
    : 'run `jeton master-key rotate`, which ends the change'
}

function examineClock(now: number, inspection: Inspection | undefined): Check {
  const at = new Date(now).toISOString()
  const how = 'set the clock of this machine, and let it follow a time server'
  if (now < OLDEST_NOW || now >= NEWEST_NOW) return mend(`the clock says ${at}, which cannot be`, how)
  const newest = inspection?.newestAt
  if (newest === undefined || now >= newest - CLOCK_TOLERANCE_MS) return ok(`the clock says ${at}`)
  const made = new Date(newest).toISOString()
  return mend(`the clock says ${at}, but the database has something made at ${made}`, how)
}

function examineTls(tls: Tls | undefined, now: number): Check[] {
  if (tls === undefined) return []
  try {
    const until = new X509Certificate(tls.cert).validToDate
    const what = `the certificate in TLS_CERT_FILE is valid until ${until.toISOString()}`
    return [
      until.getTime() - now > CERTIFICATE_TOLERANCE_MS ? ok(what) : mend(what, 'renew it and restart Jeton'),
    ]
  } catch {
    // The configuration's own check has said so.
    return []
  }
}

function examinePublicUrl({ production, publicUrl }: Config): Check[] {
  if (!production) return []
  if (publicUrl.startsWith('https:')) return [ok(`PUBLIC_URL ${publicUrl} is https`)]
  return [mend(`PUBLIC_URL ${publicUrl} is not https`, 'put HTTPS in front and name the https URL')]
}

function examineAdminKey({ adminKeys }: Config, inspection: Inspection | undefined): Check {
  if (adminKeys.length > 0) return ok('an admin key is configured')
  if (inspection?.hasAdminKey) return ok('an admin key was made at the first start')
  return mend('there is no admin key', 'set ADMIN_KEY: `jeton secrets create` prints one')
}

function ok(what: string): Check {
  return { state: 'ok', what }
}

function mend(what: string, how: string): Check {
  return { state: 'mend', what, how }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
