import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createCanaries } from '../helpers/canaries.ts'
import { usePostgres, withoutPostgres } from '../helpers/postgres.ts'
import { startServer, temporaryFolder } from '../helpers/process.ts'
import { createClient, judgeEverything, mintEverything, useAdminApi } from './canary-calls.ts'
import { ADMIN_KEY } from './canary-values.ts'

const masterKey = Buffer.from('a master key of thirty-two bytes')
const postgres = usePostgres()

describe('a secret', { skip: withoutPostgres }, () => {
  it('is in no row of a PostgreSQL, whatever is done', async (t) => {
    const canaries = createCanaries()
    canaries.plantKey('the admin key', ADMIN_KEY)
    canaries.plant('the master key', masterKey)
    const DATABASE_URL = await postgres.schema()
    const DATA_DIR = await temporaryFolder(t)
    const server = await startServer(t, {
      DATA_DIR,
      DATABASE_URL,
      ADMIN_KEY,
      MASTER_KEY: masterKey.toString('base64'),
      LOG_LEVEL: 'trace',
      SANDBOX: 'true',
      TRUST_PROXY: '127.0.0.1',
    })
    const client = createClient(server.url, canaries)
    const secrets = await useAdminApi(client, canaries)
    const tokens = await mintEverything(client, canaries, secrets)
    await judgeEverything(client, secrets, tokens)
    await server.stop('SIGINT')

    const tables = await postgres.query(
      'select table_name from information_schema.tables where table_schema = current_schema()',
      DATABASE_URL,
    )
    assert.ok(tables.length > 5)
    let rows = 0
    for (const { table_name: table } of tables) {
      // As text, in which bytes are hex.
      const found = await postgres.query(`select row::text from "${table}" row`, DATABASE_URL)
      rows += found.length
      canaries.record(`the table ${table}`, found.map((row) => row.row).join('\n'))
    }
    assert.ok(rows > 20, 'the rows were not read')
    canaries.recordFolder('the data folder', DATA_DIR)
    canaries.record('standard output', server.stdout())
    canaries.record('standard error', server.stderr())
    assert.deepEqual(canaries.found(), [])
  })
})
