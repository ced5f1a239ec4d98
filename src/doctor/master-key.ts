import type { ConfigReport } from '../config.ts'
import { knownMasterKeys } from '../installation.ts'
import { masterKeyOf } from '../keys/data-key.ts'
import type { Seams } from '../seams.ts'
import type { Inspection } from '../store/inspect.ts'
import { type Check, mend, ok, reasonOf } from './check.ts'

export async function examineMasterKey(
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
