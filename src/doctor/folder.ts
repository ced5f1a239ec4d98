import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Check, mend, ok, reasonOf } from './check.ts'

export function examineFolder(dataDir: string): Check[] {
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
