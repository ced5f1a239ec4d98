import fastifyRateLimit from '@fastify/rate-limit'
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import type { Logger } from 'pino'
import type { Actors } from '../actors.ts'
import type { Config } from '../config.ts'
import { JetonError } from '../domain/errors.ts'
import type { Gate } from '../gate/gate.ts'
import type { Revocations } from '../gate/revocations.ts'
import type { Revoke } from '../gate/revoke.ts'
import type { Journal } from '../journal/journal.ts'
import type { RecentIssuances } from '../journal/recent.ts'
import type { Environments } from '../keys/environments.ts'
import type { Follower } from '../keys/follower.ts'
import type { KeyLives } from '../keys/key-lives.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { LastUses } from '../keys/last-uses.ts'
import type { SigningKeyRotation } from '../keys/signing-key-rotation.ts'
import type { AuthFailures } from '../limits/auth-failures.ts'
import type { Sharing } from '../limits/limiter.ts'
import type { LogLevels } from '../log-level.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Mint } from '../mint/mint.ts'
import type { TurnMint } from '../mint/turn.ts'
import type { Store } from '../store/store.ts'
import type { Usage } from '../usage/usage.ts'
import { followConnections } from './connections.ts'
import { createErrorReplies } from './errors.ts'
import { createGuard, type Guard } from './guard.ts'
import { acceptJsonOnly } from './json-body.ts'
import { timeRequests } from './request-times.ts'
import { channelsTokens } from './routes/channels-tokens.ts'
import { clientTokens } from './routes/client-tokens.ts'
import { documentation } from './routes/documentation.ts'
import { environmentRoutes } from './routes/environments.ts'
import { issuanceRoutes } from './routes/issuances.ts'
import { jwks } from './routes/jwks.ts'
import { keyRoutes } from './routes/keys.ts'
import { logLevelRoutes } from './routes/log-level.ts'
import { metricsRoute } from './routes/metrics.ts'
import { oauth } from './routes/oauth.ts'
import { operations } from './routes/operations.ts'
import { peerTokens } from './routes/peer-tokens.ts'
import { revocationFeed } from './routes/revocation-feed.ts'
import { revocations as revocationRoute } from './routes/revocations.ts'
import { sandbox } from './routes/sandbox.ts'
import { signingKeyRoutes } from './routes/signing-keys.ts'
import { turnCredentials } from './routes/turn-credentials.ts'
import { usageRoutes } from './routes/usage.ts'
import { userTokens } from './routes/user-tokens.ts'
import { verify } from './routes/verify.ts'
import { securityHeaders } from './security-headers.ts'
import { serverOptions } from './server-options.ts'
import { validatorCompiler } from './validation.ts'

/** What the routes work with. */
export interface AppDeps {
  readonly config: Config
  readonly log: Logger
  readonly follower: Follower
  readonly keyring: Keyring
  readonly mint: Mint
  readonly turnMint: TurnMint
  readonly gate: Gate
  readonly revocations: Revocations
  readonly revoke: Revoke
  readonly journal: Journal
  readonly recentIssuances: RecentIssuances
  readonly authFailures: AuthFailures
  /** `undefined` when this process is to count alone. */
  readonly sharing: Sharing | undefined
  readonly lastUses: LastUses
  readonly metrics: Metrics
  readonly logLevels: LogLevels
  readonly usage: Usage
  /** What the admin API works on. */
  readonly installation: Administered
  /** Unix milliseconds. */
  readonly now: () => number
}

/** The parts of an installation that the admin API changes. */
export interface Administered {
  readonly environments: Environments
  readonly keyLives: KeyLives
  readonly signingKeyRotation: SigningKeyRotation
  readonly store: Store
  readonly actors: Actors
}

/** An app that is ready to listen or to be injected into, and the switch that a shutdown turns first. */
export interface App {
  readonly server: FastifyInstance
  /** From now on /readyz says so and every response closes its connection. */
  drain(): void
  /** Cuts every connection, whatever it is doing: one that is still shaking hands over TLS too. */
  destroyConnections(): void
}

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE_METHODS = new Set(['GET', 'HEAD'])

/** How often one network may ask for what nobody needs often: documentation and paths that are not there. */
const SIDE_DOOR_LIMIT = { max: 120, timeWindow: 60_000 }

/** How often one network may call with an admin key: a bound for programs that ran wild, not for people. */
const ADMIN_LIMIT = { max: 1_200, timeWindow: 60_000 }

// The plugin writes the headers of an older draft only.
const NO_OLDER_HEADERS = {
  addHeaders: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
  addHeadersOnExceeding: {
    'x-ratelimit-limit': false,
    'x-ratelimit-remaining': false,
    'x-ratelimit-reset': false,
  },
}

/** Builds the HTTP side over ready services. It does not listen. */
export async function buildApp(deps: AppDeps): Promise<App> {
  const { config, log } = deps
  const { sendError, sendOAuthError, onClientError } = createErrorReplies({
    publicUrl: config.publicUrl,
    log,
    journal: deps.journal,
    metrics: deps.metrics,
  })
  const app: FastifyInstance = fastify({
    ...serverOptions(config, log),
    clientErrorHandler: (error, socket) => {
      if (connections.breakOff(socket)) onClientError(error, socket)
    },
    frameworkErrors: sendError,
  })
  const connections = followConnections(app)
  const draining = new AbortController()

  app.setErrorHandler(sendError)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(() => JSON.stringify)
  acceptJsonOnly(app)
  app.decorateRequest('caller', undefined)
  timeRequests(app, deps.metrics.http)
  const headers = securityHeaders(config)
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(headers).header('X-Request-Id', request.id)
    done(hostFault(request))
  })
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (draining.signal.aborted) reply.header('Connection', 'close')
    done(null, payload)
  })
  await app.register(fastifyRateLimit, {
    global: false,
    ...SIDE_DOOR_LIMIT,
    ...NO_OLDER_HEADERS,
    errorResponseBuilder: tooMany,
  })
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request) => {
    throw new JetonError('not_found', `There is no ${request.method} at this path.`)
  })
  await app.register(documentation, { config })
  const { follower, keyring, journal, sharing, authFailures, lastUses, mint, gate, revoke } = deps
  await app.register(operations, {
    follower,
    keyring,
    journal,
    sharing,
    isDraining: () => draining.signal.aborted,
  })
  await app.register(jwks, { follower, keyring })
  const { requireHttps } = config
  const { actors } = deps.installation
  const guard = createGuard({ keyring, authFailures, lastUses, actors, requireHttps, log })
  await app.register(mintRoutes(deps, guard))
  await app.register(adminRoutes(deps, guard))
  await app.register(gateRoutes(deps, guard, draining.signal))
  // Beside them, for a hook that stands in a room reaches every route that is registered there.
  await app.register(revocationRoute, { guard, revoke })
  await app.register(oauth, { gate, revoke, guard, sendOAuthError })
  if (config.sandbox)
    await app.register(sandbox, { prefix: '/token', mint, guard, corsOrigins: config.corsOrigins })

  return {
    server: app,
    drain() {
      draining.abort()
    },
    destroyConnections: connections.destroyAll,
  }
}

// Every route in here mints for a secret key; the guard stands before all of them.
function mintRoutes({ mint, turnMint }: AppDeps, guard: Guard) {
  return async (app: FastifyInstance): Promise<void> => {
    app.addHook('onRequest', guard.before('mint'))
    await app.register(userTokens, { mint })
    await app.register(channelsTokens, { mint })
    await app.register(clientTokens, { mint })
    await app.register(peerTokens, { mint })
    await app.register(turnCredentials, { turnMint })
  }
}

// Every route in here is for realtime servers; the guard stands before each.
function gateRoutes({ gate, revocations }: AppDeps, guard: Guard, draining: AbortSignal) {
  return async (app: FastifyInstance): Promise<void> => {
    app.addHook('onRequest', guard.before('verify'))
    await app.register(verify, { gate })
    await app.register(revocationFeed, { revocations, draining })
  }
}

// Every route in here takes the admin key. Only who has it is counted: strangers on the same address, behind a proxy
// perhaps everybody, lock nobody out. The guard counts their failures.
function adminRoutes(deps: AppDeps, guard: Guard) {
  const { installation, follower, metrics, logLevels, recentIssuances, usage, log, now } = deps
  const { environments, keyLives, signingKeyRotation, store } = installation
  const refresh = follower.catchUp
  return async (app: FastifyInstance): Promise<void> => {
    app.addHook('onRequest', guard.admin)
    app.addHook('preHandler', guard.acting)
    // Who reads the log later wants to know what was changed, and by which request.
    app.addHook('onResponse', (request, reply, done) => {
      if (!SAFE_METHODS.has(request.method) && reply.statusCode < 400) {
        const { id: requestId, method, params, routeOptions } = request
        log.info({ requestId, method, route: routeOptions.url, params }, 'changed with the admin key')
      }
      done()
    })
    app.addHook('onRequest', app.rateLimit(ADMIN_LIMIT))
    app.addHook('onRoute', (route) => {
      route.schema = { ...route.schema, security: [{ adminKey: [] }] }
    })
    await app.register(environmentRoutes, { environments, store, refresh })
    await app.register(issuanceRoutes, { recentIssuances, store })
    await app.register(usageRoutes, { usage, store, now })
    await app.register(keyRoutes, { keyLives, store, now, refresh })
    await app.register(signingKeyRoutes, { environments, signingKeyRotation, now, refresh })
    await app.register(metricsRoute, { metrics })
    await app.register(logLevelRoutes, { logLevels })
  }
}

function tooMany(_request: unknown, { ttl }: { ttl: number }): JetonError {
  const retryAfterSeconds = Math.ceil(ttl / 1000)
  return new JetonError('rate_limited', `Too many requests. Try again in ${retryAfterSeconds} s.`, {
    retryAfterSeconds,
  })
}

// RFC 9112 §3.2: a request of HTTP/1.1 names one host.
function hostFault({ raw }: FastifyRequest): JetonError | undefined {
  let hosts = 0
  for (let index = 0; index < raw.rawHeaders.length; index += 2) {
    if (raw.rawHeaders[index]?.toLowerCase() === 'host') hosts += 1
  }
  if (hosts === 1 || (hosts === 0 && raw.httpVersion === '1.0')) return undefined
  return new JetonError('request_malformed', 'A request names one host in its Host header.')
}
