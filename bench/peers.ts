import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * Installs what bench/package.json names, unless it is there. The service carries none of it: Node finds it in
 * bench/node_modules, from bench/ alone.
 *
 * @throws Error when that cannot be done, for want of a registry for example
 */
export async function installPeers(): Promise<void> {
  if (existsSync(join(import.meta.dirname, 'node_modules/.package-lock.json'))) return
  process.stdout.write('Installing what Jeton is measured beside (bench/package.json) …\n')
  await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund'], { cwd: import.meta.dirname })
}
