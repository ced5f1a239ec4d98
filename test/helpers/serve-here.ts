import { Writable } from 'node:stream'
import { startServices } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { buildApp } from '../../src/http/app.ts'
import { openInstallation } from '../../src/installation.ts'
import { createLog } from '../../src/log.ts'
import { createLogLevels } from '../../src/log-level.ts'
import { systemSeams } from '../../src/seams.ts'
import type { Ending } from './process.ts'

/**
 * A server on a data folder or database as `startServer` starts one, listening on a free port, but in this process: for
 * tests about what it answers. One about starting, ending or another process's view needs a process, which costs as
 * much as ten of these.
 *
 * As long as it runs, the test must not open the folder's database as a plain file: closing that lets go of every lock
 * that this process has on it.
 */
export async function serveHere(t: Ending, env: Record<string, string>): Promise<{ readonly url: string }> {
  const config = readConfig(env)
  const log = createLog('silent', new Writable({ write: (_chunk, _encoding, done) => done() }))
  const stream = { write: () => true, isStalled: () => false }
  const installation = await openInstallation(config, systemSeams)
  const services = await startServices(config, installation, systemSeams, log, stream)
  const logLevels = createLogLevels(log, config.logLevel)
  const app = await buildApp({ config, log, ...services, logLevels, installation, now: systemSeams.now })
  t.after(async () => {
    app.drain()
    await app.server.close()
    await services.stop()
    await installation.close()
  })
  return { url: await app.server.listen({ host: '127.0.0.1', port: 0 }) }
}
