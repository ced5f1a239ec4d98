import { checkConfig } from '../config.ts'
import type { Seams } from '../seams.ts'
import type { Check } from './check.ts'
import { examineClock } from './clock.ts'
import { examineAdminKey, examineConfig, examinePublicUrl, examineTls } from './configuration.ts'
import { examineDatabase } from './database.ts'
import { examineFolder } from './folder.ts'
import { examineJournal } from './journal.ts'
import { examineMasterKey } from './master-key.ts'
import { examineLimits } from './redis.ts'

/**
 * Looks at everything that a start depends on, and goes on where something is wrong. It changes nothing, but for the count
 * of nobody's with which every Jeton asks twice a second whether Redis counts.
 */
export async function examine(seams: Seams): Promise<Check[]> {
  const report = checkConfig()
  const { checks, inspection } = await examineDatabase(report, seams)
  return [
    ...examineConfig(report),
    ...examineFolder(report.dataDir),
    ...checks,
    ...(await examineMasterKey(report, inspection, seams)),
    ...(await examineJournal(report)),
    ...(await examineLimits(report)),
    examineClock(seams.now(), inspection),
    ...examineTls(report.tls, seams.now()),
    ...(report.config === undefined ? [] : examinePublicUrl(report.config)),
    ...(report.config === undefined ? [] : [examineAdminKey(report.config, inspection)]),
  ]
}
