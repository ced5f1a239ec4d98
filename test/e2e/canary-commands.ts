import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { z } from 'zod'
import { systemSeams } from '../../src/seams.ts'
import type { Canaries } from '../helpers/canaries.ts'
import { run, runApart, temporaryFolder } from '../helpers/process.ts'
import { ADMIN_KEY, CANARY, madeEnvironment } from './canary-values.ts'

const exportedKey = z.object({ k: z.string() })

type Installed = Awaited<ReturnType<typeof installed>>

/** A data folder with one environment and a generated master key. */
export async function installed(t: TestContext, canaries: Canaries) {
  const [DATA_DIR, elsewhere] = [await temporaryFolder(t), await temporaryFolder(t)]
  const file = (name: string, content: string) => {
    writeFileSync(join(elsewhere, name), content)
    return join(elsewhere, name)
  }
  const jeton = async (args: readonly string[]) => {
    const ended = await run('cli/jeton.ts', args, { DATA_DIR, LOG_LEVEL: 'trace' })
    canaries.record(`what jeton ${args[0]} ${args[1]} printed`, ended.stdout + ended.stderr)
    return ended
  }
  // The answers that show a secret are the ones of these, which are not looked through.
  const making = async (args: readonly string[]) =>
    (await run('cli/jeton.ts', [...args, '--json'], { DATA_DIR })).stdout
  const made = madeEnvironment.parse(JSON.parse(await making(['environments', 'create', 'By command'])))
  canaries.plantKey('the secret key of an environment that the command line made', made.secretKey)
  const { id } = made.environment
  const key = z.object({ secretKey: z.string() })
  const { secretKey } = key.parse(JSON.parse(await making(['keys', 'create', '--environment', id])))
  canaries.plantKey('a secret key that the command line made', secretKey)
  const ofTheEnvironment = ['signing-keys', 'list', '--environment', id, '--json']
  const [kid = ''] = /sig_\w+/.exec((await run('cli/jeton.ts', ofTheEnvironment, { DATA_DIR })).stdout) ?? []
  const exporting = ['signing-keys', 'export', '--environment', id, '--kid', kid, '--yes']
  const { k } = exportedKey.parse(JSON.parse((await run('cli/jeton.ts', exporting, { DATA_DIR })).stdout))
  canaries.plant('an HS256 secret that was handed out', Buffer.from(k, 'base64url'))
  const recordData = (when: string) => {
    const masterKeys = readFileSync(join(DATA_DIR, 'master.key'), 'utf8').split(/\s/).filter(Boolean)
    for (const masterKey of masterKeys) canaries.plant('the master key', Buffer.from(masterKey, 'base64'))
    canaries.recordFolder(when, DATA_DIR, { 'master.key': masterKeys })
  }
  return { DATA_DIR, elsewhere, file, jeton, recordData, id, keyId: made.keyId, secretKey: made.secretKey }
}

/** Runs every command that takes or could show a secret, rightly and wrongly. */
export async function useCommandLine(
  { jeton, file, id, keyId, secretKey, elsewhere }: Installed,
  canaries: Canaries,
  url: string,
): Promise<void> {
  const hs256 = 'imported-secret-of-more-than-thirty-two-bytes'
  const seed = systemSeams.random(32)
  canaries.plant('an imported HS256 secret', hs256)
  canaries.plant('an imported Ed25519 seed', seed)
  const secretFile = file('hs256', `${hs256}\n`)
  const importing = ['signing-keys', 'import', '--environment', id]
  const seedFile = file('seed', `sk_${Buffer.from(seed).toString('hex')}`)
  const changing = [
    ['environments', 'turn', id, '--url', 'turn:a', '--secret-file', secretFile],
    [...importing, '--format', 'user', '--kid', 'theirs', '--secret-file', secretFile],
    [...importing, '--format', 'peer', '--kid', 'seed', '--secret-file', seedFile],
  ]
  const showing = [
    ['environments', 'list', '--json'],
    ['keys', 'list', '--json'],
    ['signing-keys', 'list', '--environment', id, '--json'],
    ['doctor', '--json'],
  ]
  for (const commands of [changing, showing]) {
    const ended = await Promise.all(commands.map((args) => jeton(args)))
    assert.deepEqual(
      ended.map(({ stderr }) => stderr),
      commands.map(() => ''),
    )
  }
  assert.equal((await jeton(['backup', join(elsewhere, 'backup.db')])).code, 0)
  const asking = ['create-token', '--api-key', keyId, '--api-secret', secretKey, '--url', url]
  const token = await run('cli/jeton.ts', [...asking, '--peer-id', 'a', '--group-id', 'b'], {})
  canaries.plantToken('the token that the command line asked for', token.stdout.trim())
  const ended = await Promise.all(
    [
      ['token', 'inspect', token.stdout.trim()],
      ['token', 'inspect', `${token.stdout.trim()}.${secretKey}`],
      ['token', 'explain', token.stdout.trim(), '--json'],
    ].map((args) => jeton(args)),
  )
  assert.deepEqual(
    ended.map(({ stderr }) => stderr),
    ['', '', ''],
  )
  const wrong = [
    ['token', 'explain', secretKey, '--environment', id],
    [...asking, '--peer-id', 'a', '--group-id', CANARY.repeat(3)],
    [...importing, '--format', 'user', '--kid', 'theirs', '--secret-file', secretFile],
    [...importing, '--format', 'peer', '--kid', 'wrong', '--secret-file', secretFile],
    [...importing, '--format', 'user', '--kid', 'wrong', '--secret', secretKey],
    ['keys', 'list', '--environment', secretKey],
    ['keys', 'create', '--environment', id, '--grant', secretFile],
    [secretKey],
  ]
  await Promise.all(
    wrong.map(async (args) => assert.notEqual((await jeton(args)).code, 0, args.slice(0, 2).join(' '))),
  )
}

/** Starts with secrets that cannot be ones. */
export async function startWrong({ DATA_DIR }: Installed, canaries: Canaries): Promise<void> {
  const faults: Record<string, string>[] = [
    { ADMIN_KEY: `${ADMIN_KEY.slice(0, -1)}-` },
    { MASTER_KEY: `${Buffer.from(CANARY).toString('base64')}=` },
    { MASTER_KEY: Buffer.from(CANARY.padEnd(32, 'x').slice(0, 32)).toString('base64') },
    {
      ADMIN_KEY,
      PORT: CANARY,
      ALERT_WEBHOOK_URL: `ftp://x:${CANARY}@${CANARY}/`,
      ALERT_WEBHOOK_SECRET: CANARY,
    },
  ]
  await Promise.all(
    faults.map(async (env) => {
      const { code, stdout, stderr } = await runApart('main.ts', [], { DATA_DIR, PORT: '0', ...env })
      assert.equal(code, 1)
      canaries.record('a start that failed', stdout + stderr)
    }),
  )
}
