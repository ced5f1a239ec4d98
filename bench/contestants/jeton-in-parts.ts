// Jeton without some of its parts, to see what each costs: OFF names them. What configuration can turn off is not here.
import { startServices } from '../../src/compose.ts'
import { readConfig } from '../../src/config.ts'
import { buildApp } from '../../src/http/app.ts'
import { openInstallation } from '../../src/installation.ts'
import { createLog, openLogStream } from '../../src/log.ts'
import { createLogLevels } from '../../src/log-level.ts'
import { Counter, Histogram } from '../../src/metrics/prom-client.ts'
import { createMint } from '../../src/mint/mint.ts'
import { systemSeams } from '../../src/seams.ts'

const off = (process.env.OFF ?? '').split(' ')
if (off.includes('metrics')) {
  Counter.prototype.inc = () => undefined
  // Each histogram sets its own when it is made.
  Object.defineProperty(Histogram.prototype, 'observe', { get: () => () => undefined, set() {} })
}
const config = readConfig()
const { host, port, publicUrl } = config
const stream = openLogStream()
const log = createLog(config.logLevel, stream)
const installation = await openInstallation(config, systemSeams)
const services = await startServices(config, installation, systemSeams, log, stream)
const { keyring, revocations, journal } = services
const uncounted = { allowed: true, states: [], refusedBy: undefined }
const mint = off.includes('limits')
  ? createMint({
      keyring,
      revocations,
      journal,
      admission: { admit: () => uncounted },
      noteIssued: () => undefined,
      seams: systemSeams,
      publicUrl,
    })
  : services.mint
const logLevels = createLogLevels(log, config.logLevel)
const { now } = systemSeams
const { server } = await buildApp({ config, log, ...services, mint, logLevels, installation, now })
const url = await server.listen({ host, port })
process.stdout.write(`"Server listening at ${url}"\n`)
process.once('SIGINT', () => process.exit())
