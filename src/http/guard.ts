import type { IncomingHttpHeaders } from 'node:http'
import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Actors } from '../actors.ts'
import type { Actor } from '../domain/change-record.ts'
import { JetonError } from '../domain/errors.ts'
import { admitsAddress, admitsUse, type Use } from '../domain/grant.ts'
import type { Caller, Credentials, Keyring } from '../keys/keyring.ts'
import type { LastUses } from '../keys/last-uses.ts'
import type { AuthFailures } from '../limits/auth-failures.ts'
import { beyondGrant } from '../mint/admission.ts'
import type { MintCaller } from '../mint/mint.ts'
import { addressOf, isFromThisMachine, readEndUserAddress, readUserAgent } from './sender.ts'
import { readBearer, readCredentials } from './sent-key.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who called, once its key is known to live. The guard may still have refused what it asked. */
    caller: MintCaller | undefined
  }
}

interface GuardDeps {
  readonly keyring: Keyring
  readonly authFailures: AuthFailures
  readonly lastUses: LastUses
  readonly actors: Pick<Actors, 'as'>
  readonly requireHttps: boolean
  readonly log: Logger
}

/** Decides who may call: every route of a secret key asks it. */
export interface Guard {
  /** The hook for keys in a header. It runs before the body is read, and refuses keys that a browser sent. */
  before(use: Use): (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void
  /** The same for routes that the admin key may use as well; `request.caller` is not there then. */
  beforeOrAdmin(
    use: Use,
  ): (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void
  /** The hook for routes of the admin key. */
  admin(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void
  /**
   * The hook for routes that change something, behind one of those before and behind the body: what the handler changes
   * is recorded as the caller's doing.
   */
  acting(request: FastifyRequest, reply: FastifyReply, done: () => void): void
  /**
   * The living key that these credentials are, if it may be used for this, from here. That it was used is noted.
   *
   * @throws JetonError one of the 401s, `https_required`, `address_not_allowed`, `beyond_grant`, or `rate_limited`
   *   when this network failed too often
   */
  admit(request: FastifyRequest, credentials: Credentials | undefined, use: Use): MintCaller
}

export function createGuard({
  keyring,
  authFailures,
  lastUses,
  actors,
  requireHttps,
  log,
}: GuardDeps): Guard {
  return { before, beforeOrAdmin, admin, acting, admit }

  function before(use: Use) {
    return (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
      try {
        const known = identify(request, readCredentials(request.headers))
        // Before anything else that could refuse it: a key that a browser has is exposed, whatever it may do from where.
        if (isFromBrowser(request.headers) && !known.environment.settings.allowBrowserSecrets) {
          request.caller = describe(request, known)
          throw refuseBrowser(known, request)
        }
        letThrough(request, known, use)
        done()
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  function beforeOrAdmin(use: Use) {
    const ofSecretKey = before(use)
    return (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
      const isAdmin = readBearer(request.headers)?.startsWith('ak_') ?? false
      if (isAdmin) admin(request, reply, done)
      else ofSecretKey(request, reply, done)
    }
  }

  function admin(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    try {
      admitAdmin(request)
      done()
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }

  // Not before the body is read: what reads it begins elsewhere, and would forget on whose behalf.
  function acting(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
    actors.as(actorOf(request), done)
  }

  function admitAdmin(request: FastifyRequest): void {
    const { headers } = request
    const credentials = readCredentials(headers)
    if (credentials === undefined) {
      throw countFailure(
        new JetonError('key_missing', 'Send the admin key as "Authorization: Bearer ak_…".'),
        request,
      )
    }
    refusePlainHttp(request)
    try {
      keyring.authenticateAdmin(credentials.text)
    } catch (error) {
      throw error instanceof JetonError ? countFailure(error, request) : error
    }
  }

  function refusePlainHttp(request: FastifyRequest): void {
    if (!requireHttps || request.protocol === 'https' || isFromThisMachine(request)) return
    throw new JetonError(
      'https_required',
      'A secret was sent over plain HTTP. Use HTTPS, and replace this key.',
    )
  }

  function admit(request: FastifyRequest, credentials: Credentials | undefined, use: Use): MintCaller {
    return letThrough(request, identify(request, credentials), use)
  }

  function identify(request: FastifyRequest, credentials: Credentials | undefined): Caller {
    if (credentials === undefined) throw countFailure(keyMissing(), request)
    refusePlainHttp(request)
    return authenticate(credentials, request)
  }

  function letThrough(request: FastifyRequest, known: Caller, use: Use): MintCaller {
    const { key, ceiling, environment } = known
    const caller = describe(request, known)
    const { address } = caller
    // Whatever refuses from here on refuses a living key, and is recorded.
    request.caller = caller
    // It mints nothing; what it minted is still judged, with that answer.
    if (use === 'mint' && environment.archivedAt !== undefined) {
      throw new JetonError('environment_archived', 'This environment is archived and mints nothing.')
    }
    if (!admitsAddress(ceiling, address)) {
      throw new JetonError('address_not_allowed', `This key may not be used from ${address}.`)
    }
    if (!admitsUse(ceiling, use)) {
      throw beyondGrant({ member: 'uses', asked: use, allowed: ceiling.grant.uses ?? [] })
    }
    lastUses.note(key.id)
    return caller
  }

  function authenticate(credentials: Credentials, request: FastifyRequest): Caller {
    try {
      return keyring.authenticate(credentials)
    } catch (error) {
      throw error instanceof JetonError ? countFailure(error, request) : error
    }
  }

  // Turns further failures of a network into 429. A living key never gets here, whatever its address did.
  function countFailure(error: JetonError, request: FastifyRequest): JetonError {
    if (error.error === 'store_unavailable') return error
    const network = normalizeIP(addressOf(request))
    const { limited, failures, retryAfterSeconds } = authFailures.count(network)
    if (!limited) {
      log.info({ network, error: error.error, requestId: request.id }, 'authentication failed')
      return error
    }
    // A flood is logged by its size, not by its requests.
    if (isPowerOfTwo(failures)) log.warn({ network, failures }, 'authentication failures limited')
    return new JetonError('rate_limited', 'Too many failed authentications from this network.', {
      retryAfterSeconds,
    })
  }

  function refuseBrowser({ key }: Caller, request: FastifyRequest): JetonError {
    log.warn({ keyId: key.id, environmentId: key.environmentId }, 'secret key sent by a browser')
    // Nobody asked for that: the request is only what it was seen in.
    const server: Actor = { by: 'server', requestId: request.id, address: addressOf(request) }
    actors
      .as(server, () => keyring.flagExposed(key))
      .catch((err: unknown) => {
        log.error({ err, keyId: key.id }, 'exposed key could not be flagged')
      })
    return new JetonError(
      'secret_key_in_browser',
      'This secret key was sent by a browser, where anyone can read it. Call from a server, and replace this key.',
    )
  }
}

/** The caller of a request behind the guard. */
export function callerOf(request: FastifyRequest): MintCaller {
  if (request.caller === undefined) throw new Error('This route is not behind the guard')
  return request.caller
}

function describe(request: FastifyRequest, known: Caller): MintCaller {
  const { headers, id: requestId } = request
  const address = addressOf(request)
  const endUserAddress = readEndUserAddress(headers)
  return { ...known, address, endUserAddress, userAgent: readUserAgent(headers), requestId, asked: {} }
}

function actorOf(request: FastifyRequest): Actor {
  const from = { requestId: request.id, address: addressOf(request) }
  const { caller } = request
  return caller === undefined
    ? { by: 'admin key', ...from }
    : { by: 'secret key', keyId: caller.key.id, ...from }
}

function keyMissing(): JetonError {
  return new JetonError(
    'key_missing',
    'Send the secret key as "Authorization: Bearer sk_…" or "X-API-KEY: sk_…".',
  )
}

// Sec-Fetch-Mode alone says nothing: Node's own fetch sends it on every request.
function isFromBrowser(headers: IncomingHttpHeaders): boolean {
  return headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value))
}
