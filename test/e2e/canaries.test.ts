import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createCanaries } from '../helpers/canaries.ts'
import { startServer } from '../helpers/process.ts'
import {
  createClient,
  doEverythingWrong,
  judgeEverything,
  mintEverything,
  sendNoHttp,
  useAdminApi,
} from './canary-calls.ts'
import { installed, startWrong, useCommandLine } from './canary-commands.ts'
import { ADMIN_KEY, CANARY, SHORT_CANARY } from './canary-values.ts'

describe('a secret', () => {
  it('appears in no list, log, error, database file or backup, whatever is done', async (t) => {
    const canaries = createCanaries()
    canaries.plantKey('the admin key', ADMIN_KEY)
    canaries.plant('what a caller sent', CANARY)
    canaries.plant('what a caller sent as JSON', SHORT_CANARY)
    const installation = await installed(t, canaries)
    const { DATA_DIR, elsewhere, recordData } = installation
    const server = await startServer(t, {
      DATA_DIR,
      ADMIN_KEY,
      LOG_LEVEL: 'trace',
      SANDBOX: 'true',
      TRUST_PROXY: '127.0.0.1',
    })
    const client = createClient(server.url, canaries)
    const secrets = await useAdminApi(client, canaries)
    const tokens = await mintEverything(client, canaries, secrets)
    await judgeEverything(client, secrets, tokens)
    await doEverythingWrong(client, secrets)
    await sendNoHttp(server.url, secrets.secretKey, canaries)
    assert.deepEqual(await client.uncalled(), [], 'what is described and was never called with success')
    await useCommandLine(installation, canaries, server.url)

    // What all of it left there, for the one who has the admin key.
    assert.match(await client.admin('GET', '/metrics'), /^jeton_token_refusals_total\{.+\} [1-9]/m)
    recordData('while a server runs')
    canaries.record('a backup', readFileSync(join(elsewhere, 'backup.db')))
    await server.stop('SIGKILL')
    recordData('after a kill')
    canaries.record('standard output', server.stdout())
    canaries.record('standard error', server.stderr())
    await startWrong(installation, canaries)
    const restored = await installation.jeton(['restore', join(elsewhere, 'backup.db'), '--yes'])
    const rotated = await installation.jeton(['master-key', 'rotate', '--yes'])
    assert.deepEqual([restored.code, rotated.code], [0, 0])
    recordData('after a restore under a new master key')

    t.diagnostic(`${canaries.sizeBytes()} bytes were looked through`)
    assert.ok(server.stdout().split('\n').length > 100, 'the log was not written')
    for (const file of [/jeton\.db-wal$/, /\.jsonl$/]) {
      assert.ok(
        canaries.places().some((where) => file.test(where)),
        `${file} was not looked through`,
      )
    }
    assert.deepEqual(canaries.found(), [])
  })

  // What makes the one above worth anything: it finds what there is.
  it('is found as text, in hex and within base64, by the search itself', () => {
    const secret = Buffer.from('a secret with ÿþ in it')
    const forms = [
      secret,
      secret.toString('hex'),
      secret.toString('hex').toUpperCase(),
      ...['', 'x', 'xy'].flatMap((before) => {
        const bytes = Buffer.concat([Buffer.from(before), secret, Buffer.from('behind')])
        return [bytes.toString('base64'), bytes.toString('base64url')]
      }),
    ]
    for (const form of forms) {
      const canaries = createCanaries()
      canaries.plant('it', secret)
      canaries.record('here', Buffer.concat([Buffer.from('before '), Buffer.from(form)]))
      assert.notDeepEqual(canaries.found(), [], String(form))
    }
  })
})
