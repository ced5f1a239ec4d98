import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { readConfig } from '../../src/config.ts'
import { type Installation, openInstallation } from '../../src/installation.ts'
import { openSigner } from '../../src/keys/signing-keys.ts'
import { systemSeams } from '../../src/seams.ts'
import { changesSince } from './changes.ts'
import { run, temporaryFolder } from './process.ts'
import { inFull } from './scale.ts'

/** A data folder of its own with one environment, and the command line on it. */
export async function install(t: TestContext, env: Record<string, string> = {}) {
  const DATA_DIR = await temporaryFolder(t)
  const elsewhere = await temporaryFolder(t)
  const jeton = (args: readonly string[], more: Record<string, string> = {}) =>
    run('cli/jeton.ts', args, { DATA_DIR, ...env, ...more })
  const use = <T>(work: (installation: Installation) => Promise<T>, more: Record<string, string> = {}) =>
    useInstallation({ DATA_DIR, ...env, ...more }, work)
  const made = await use(({ environments }) => environments.create('Test'))
  return { DATA_DIR, file: join(elsewhere, 'backup.db'), elsewhere, jeton, use, ...made }
}

/** Opens an installation in this process, for what the command line has no word for. */
export async function useInstallation<T>(
  env: Record<string, string>,
  work: (installation: Installation) => Promise<T>,
): Promise<T> {
  const installation = await openInstallation(readConfig(env), systemSeams)
  try {
    return await work(installation)
  } finally {
    await installation.close()
  }
}

/** All that an installation holds, each of its signing keys opened: proof that it is whole and can mint. */
export async function everythingIn({ store, sealer }: Installation) {
  const all = await changesSince(store, 0)
  for (const key of all.signingKeys) openSigner(key, sealer)
  return all
}

/** Mints one token and gives the status and the answer. */
export async function mint(url: string, key: string, userId = 'user-1') {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ userId, name: 'Alice' })
  const reply = await fetch(`${url}/auth/token`, { method: 'POST', headers, body })
  const answer = z.object({ token: z.string().optional(), error: z.string().optional() })
  return { status: reply.status, ...answer.parse(await reply.json()) }
}

/** Puts the generated master key of one data folder into another one. */
export function takeMasterKey(from: string, to: string): void {
  copyFileSync(join(from, 'master.key'), join(to, 'master.key'))
}

/** How often a process is killed at a random moment; a hundred times in npm run test:long. */
export const KILLS = inFull(100, 10)
