import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack } from '../../src/journal/upkeep.ts'
import { createCanaries } from '../helpers/canaries.ts'
import { mint } from '../helpers/installation.ts'
import { eventually, filesIn } from '../helpers/journal.ts'
import { startServer, temporaryFolder } from '../helpers/process.ts'
import { startReceiver, status } from '../helpers/receiver.ts'
import {
  createClient,
  doEverythingWrong,
  judgeEverything,
  mintEverything,
  sendNoHttp,
  useAdminApi,
} from './canary-calls.ts'
import { installed, startWrong, useCommandLine } from './canary-commands.ts'
import { ADMIN_KEY, CANARY, SHORT_CANARY, WEBHOOK } from './canary-values.ts'

describe('a secret', () => {
  it('appears in no list, log, error, database file or backup, whatever is done', async (t) => {
    const canaries = createCanaries()
    canaries.plantKey('the admin key', ADMIN_KEY)
    canaries.plant('what a caller sent', CANARY)
    canaries.plant('what a caller sent as JSON', SHORT_CANARY)
    const installation = await installed(t, canaries)
    const { DATA_DIR, elsewhere, recordData } = installation
    canaries.plant('the secret of the webhook', WEBHOOK.secret)
    canaries.plant('the path of the webhook', WEBHOOK.path)
    canaries.plant('the password of the webhook', WEBHOOK.password)
    const receiver = await startReceiver(t, status(500, { 'x-answer': CANARY }))
    const server = await startServer(t, {
      ALERT_WEBHOOK_URL: `http://jeton:${WEBHOOK.password}@127.0.0.1:${receiver.port}/${WEBHOOK.path}`,
      ALERT_WEBHOOK_SECRET: `whsec_${WEBHOOK.secret.toString('base64')}`,
      ALERT_WEBHOOK_ALLOW_PRIVATE: 'true',
      DATA_DIR,
      ADMIN_KEY,
      LOG_LEVEL: 'trace',
      SANDBOX: 'true',
      TRUST_PROXY: '127.0.0.1',
    })
    const client = createClient(server.url, canaries)
    const secrets = await useAdminApi(client, canaries)
    const tokens = await mintEverything(client, canaries, secrets)
    // Enough to ring, even where a minute ends among them.
    const many = Array.from({ length: 100 }, (_, user) => mint(server.url, secrets.secretKey, `user-${user}`))
    for (const { token = '' } of await Promise.all(many)) canaries.plantToken('a token of many', token)
    await judgeEverything(client, secrets, tokens)
    await doEverythingWrong(client, secrets)
    await sendNoHttp(server.url, secrets.secretKey, canaries)
    assert.deepEqual(await client.uncalled(), [], 'what is described and was never called with success')
    await useCommandLine(installation, canaries, server.url)

    // What all of it left there, for the one who has the admin key.
    assert.match(await client.admin('GET', '/metrics'), /^jeton_token_refusals_total\{.+\} [1-9]/m)
    await eventually(() => server.stdout().includes('alert is not delivered yet'), 'an alert is sent', 30_000)
    recordData('while a server runs')
    canaries.record('a backup', readFileSync(join(elsewhere, 'backup.db')))
    await server.stop('SIGKILL')
    for (const path of filesIn(join(DATA_DIR, 'journal'))) await pack({ path }, new AbortController().signal)
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
    for (const file of [/jeton\.db-wal$/, /\.jsonl$/, /\.jsonl\.gz$/]) {
      assert.ok(
        canaries.places().some((where) => file.test(where)),
        `${file} was not looked through`,
      )
    }
    assert.deepEqual(canaries.found(), [])
  })

  // What makes the one above worth anything: it finds what there is.
  it('is found as text, in hex, within base64 and in what is packed, by the search itself', async (t) => {
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
    const folder = await temporaryFolder(t)
    writeFileSync(join(folder, 'packed.gz'), gzipSync(secret))
    const canaries = createCanaries()
    canaries.plant('it', secret)
    canaries.recordFolder('here', folder)
    assert.deepEqual(canaries.found(), ['here: packed.gz holds it as it is'])
  })
})
