import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { writeKey } from '../../src/domain/api-key.ts'
import { systemSeams } from '../../src/seams.ts'
import { runApart, type ServerProcess, startServer, temporaryFolder } from '../helpers/process.ts'

const ADMIN_KEY = writeKey('admin', undefined, systemSeams.random(32))

async function said(server: ServerProcess, text: string): Promise<void> {
  while (!server.stdout().includes(text)) {
    assert.equal(server.child.exitCode, null, `it ended before it said ${text}`)
    await new Promise((resolve) => server.child.stdout?.once('data', resolve))
  }
}

describe('a server that runs', () => {
  it('tells its metrics on a port of their own, and changes its log’s level with a signal', async (t) => {
    const env = { DATA_DIR: await temporaryFolder(t), ADMIN_KEY, METRICS_PORT: '0' }
    const server = await startServer(t, env)
    const [, url = ''] = /"listening":"(http[^"]+)","msg":"metrics are told/.exec(server.stdout()) ?? []
    assert.match(await (await fetch(url)).text(), /^jeton_build_info\{/m)
    assert.equal((await fetch(`${server.url}/metrics`)).status, 401)

    await fetch(`${server.url}/nowhere`)
    server.child.kill('SIGUSR2')
    await said(server, '"from":"info","to":"debug","signal":"SIGUSR2","msg":"log level changed"')
    await fetch(`${server.url}/nowhere`)
    await said(server, '"msg":"request refused"')
    assert.equal(server.stdout().split('"msg":"request refused"').length, 2)

    const METRICS_PORT = new URL(url).port
    const second = await runApart('main.ts', [], {
      DATA_DIR: await temporaryFolder(t),
      PORT: '0',
      METRICS_PORT,
    })
    assert.deepEqual(
      [second.code, second.stderr],
      [
        1,
        `METRICS_HOST 127.0.0.1 and METRICS_PORT ${METRICS_PORT} cannot be used: something else listens there already\n`,
      ],
    )
    assert.equal((await server.stop('SIGINT')).code, 0)
    await assert.rejects(fetch(url))
  })
})
