import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace, { type Options } from 'close-with-grace'
import type { Logger } from 'pino'
import { startServices } from './compose.ts'
import { type Config, readConfig, StartError } from './config.ts'
import { errorCode } from './domain/error-code.ts'
import { type App, buildApp } from './http/app.ts'
import { type MetricsServer, openMetricsServer } from './http/metrics-server.ts'
import { type Installation, openInstallation } from './installation.ts'
import type { FirstRun } from './keys/environments.ts'
import type { Follower } from './keys/follower.ts'
import { createLog, openLogStream } from './log.ts'
import { createLogLevels } from './log-level.ts'
import type { Metrics } from './metrics/metrics.ts'
import { systemSeams } from './seams.ts'
import { giveSpareMemoryBack } from './spare-memory.ts'

/** Between saying "not ready" and closing the door, so that a balancer hears it first. */
const DRAIN_MS = 2_000
/** What is still unfinished this long after the door closed is cut off. */
const FINISH_WITHIN_MS = 5_000
/** The process is gone by then, whatever happens. */
const EXIT_WITHIN_MS = 9_000

/** SIGUSR2 is for the level of the log, and ends nothing. */
const GRACE = { delay: EXIT_WITHIN_MS, logger: false, skip: ['SIGUSR2'] } satisfies Options

/**
 * Runs the server until a signal ends it.
 *
 * @throws StartError when it cannot start
 */
export async function serve(): Promise<void> {
  const config = readConfig()
  const stream = openLogStream()
  const log = createLog(config.logLevel, stream)
  const logLevels = createLogLevels(log, config.logLevel)
  process.on('SIGUSR2', () => logLevels.toggle({ signal: 'SIGUSR2' }))
  const installation = await openInstallation(config, systemSeams)
  const services = await startServices(config, installation, systemSeams, log, stream)
  const app = await buildApp({ config, log, ...services, logLevels, installation, now: systemSeams.now })
  // Before the door opens, so that no signal ends a process that is already answering ungracefully.
  const grace = closeWithGrace(GRACE, async ({ signal, err }) => {
    if (err !== undefined) log.fatal({ err }, 'unexpected error')
    log.info({ signal }, 'shutting down')
    await end(signal)
    log.info('stopped')
    await stream.close()
  })
  let ending: Promise<void> | undefined
  let metricsServer: MetricsServer | undefined
  try {
    metricsServer = await openMetrics(services.metrics, config, log)
    await listen(app, config)
    // Once the door is open, since nobody has to wait for it; before anything is shown that somebody may act upon.
    await giveSpareMemoryBack()
    // Only now, so that a start that failed has shown nothing that a later one would not show again.
    await welcome(installation, services.follower, config)
  } catch (error) {
    // A signal that came before all of it was there has closed what the rest needed: that is no fault.
    if (ending !== undefined) return
    grace.uninstall()
    await end(undefined)
    await stream.close()
    throw error
  }

  function end(signal: string | undefined): Promise<void> {
    ending ??= closeAll(signal)
    return ending
  }

  async function closeAll(signal: string | undefined): Promise<void> {
    await closeDoor(app, signal)
    await metricsServer?.close()
    await services.stop()
    await installation.close()
  }
}

/** Outside production, makes the very first environment and shows what nobody can look up later. */
async function welcome({ environments }: Installation, follower: Follower, config: Config): Promise<void> {
  if (config.production) return
  const firstRun = await environments.createFirst({ adminKey: config.adminKeys.length === 0 })
  if (firstRun === undefined) return
  await follower.refresh()
  process.stdout.write(welcomeText(firstRun, config))
}

async function listen({ server }: App, { host, port, tls }: Config): Promise<void> {
  try {
    await server.listen({ host, port, listenTextResolver })
  } catch (cause) {
    throw cannotListen(`HOST ${host} and PORT ${port}`, cause)
  }

  // Fastify cannot know what a server factory made.
  function listenTextResolver(address: string): string {
    return `Server listening at ${tls === undefined ? address : address.replace('http:', 'https:')}`
  }
}

async function openMetrics(
  metrics: Metrics,
  { metricsHost: host, metricsPort: port }: Config,
  log: Logger,
): Promise<MetricsServer | undefined> {
  if (port === undefined) return undefined
  try {
    const server = await openMetricsServer({ metrics, host, port, monotonic: systemSeams.monotonic })
    log.info({ listening: server.url }, 'metrics are told there to whoever asks')
    return server
  } catch (cause) {
    throw cannotListen(`METRICS_HOST ${host} and METRICS_PORT ${port}`, cause)
  }
}

function cannotListen(where: string, cause: unknown): StartError {
  const reason = errorCode(cause) === 'EADDRINUSE' ? 'something else listens there already' : String(cause)
  return new StartError(`${where} cannot be used: ${reason}`, { cause })
}

// SIGTERM comes from whatever runs the container, and a balancer may still send requests; a person's ^C waits for
// nothing.
async function closeDoor(
  { server, drain, destroyConnections }: App,
  signal: string | undefined,
): Promise<void> {
  drain()
  if (signal === 'SIGTERM') await sleep(DRAIN_MS)
  const patience = setTimeout(destroyConnections, FINISH_WITHIN_MS)
  await server.close()
  clearTimeout(patience)
}

function welcomeText(
  { environment, publishableKey, secretKey, adminKey }: FirstRun,
  { publicUrl }: Config,
): string {
  return `
Jeton made a first environment. What is secret is shown this once and kept nowhere.

  environment      ${environment.name} (${environment.id})
  publishable key  ${publishableKey}
  secret key       ${secretKey}
  admin key        ${adminKey ?? 'the one that is configured'}

A first token:

curl ${publicUrl}/auth/token -H 'Authorization: Bearer ${secretKey}' -H 'Content-Type: application/json' -d '{"userId":"user-1","name":"Alice"}'

`
}
