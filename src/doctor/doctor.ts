import { checkConfig } from '../config.ts'
import type { Seams } from '../seams.ts'
import type { Check } from './check.ts'
import { examineClock } from './clock.ts'
import { examineAdminKey, examineConfig, examinePublicUrl, examineTls } from './configuration.ts'
import { examineDatabase } from './database.ts'
import { examineFolder } from './folder.ts'
import { examineMasterKey } from './master-key.ts'

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
