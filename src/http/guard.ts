import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import { JetonError } from '../domain/errors.ts'
import type { Caller, Credentials, Keyring } from '../keys/keyring.ts'
import type { AuthFailures } from '../limits/auth-failures.ts'
import type { MintCaller } from '../mint/mint.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who called, once the guard let the request through. */
    caller: MintCaller | undefined
  }
}

interface GuardDeps {
  readonly keyring: Keyring
  readonly authFailures: AuthFailures
  readonly requireHttps: boolean
  readonly log: Logger
}

/** The hook that stands before every route of a secret key: it runs before the body is read. */
export function createGuard({ keyring, authFailures, requireHttps, log }: GuardDeps) {
  return function guard(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
    try {
      request.caller = admit(request)
      done()
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }

  function admit(request: FastifyRequest): MintCaller {
    const { headers, ip: address, id: requestId } = request
    const credentials = readCredentials(headers)
    if (credentials === undefined) {
      throw countFailure(
        new JetonError(
          'key_missing',
          'Send the secret key as "Authorization: Bearer sk_…" or "X-API-KEY: sk_…".',
        ),
        address,
      )
    }
    if (requireHttps && request.protocol !== 'https' && !isLoopback(address)) {
      throw new JetonError(
        'https_required',
        'A secret key was sent over plain HTTP. Use HTTPS, and rotate this key.',
      )
    }
    const caller = authenticate(credentials, address)
    if (isFromBrowser(headers)) throw refuseBrowser(caller)
    return { ...caller, address, endUserAddress: readEndUserAddress(headers), requestId }
  }

  function authenticate(credentials: Credentials, address: string): Caller {
    try {
      return keyring.authenticate(credentials)
    } catch (error) {
      throw error instanceof JetonError ? countFailure(error, address) : error
    }
  }

  // Turns further failures of a network into 429. A living key never gets here, whatever its address did.
  function countFailure(error: JetonError, address: string): JetonError {
    if (error.error === 'store_unavailable') return error
    const network = normalizeIP(address)
    const { limited, failures, retryAfterSeconds } = authFailures.count(network)
    if (!limited) {
      log.info({ network, error: error.error }, 'authentication failed')
      return error
    }
    // A flood is logged by its size, not by its requests.
    if (isPowerOfTwo(failures)) log.warn({ network, failures }, 'authentication failures limited')
    return new JetonError('rate_limited', 'Too many failed authentications from this network.', {
      retryAfterSeconds,
    })
  }

  function refuseBrowser({ key }: Caller): JetonError {
    log.warn({ keyId: key.id, environmentId: key.environmentId }, 'secret key sent by a browser')
    keyring.flagExposed(key).catch((err: unknown) => {
      log.error({ err, keyId: key.id }, 'exposed key could not be flagged')
    })
    return new JetonError(
      'secret_key_in_browser',
      'This secret key was sent by a browser, where anyone can read it. Call from a server, and rotate this key.',
    )
  }
}

/** The caller of a request behind the guard. */
export function callerOf(request: FastifyRequest): MintCaller {
  if (request.caller === undefined) throw new Error('This route is not behind the guard')
  return request.caller
}

/** Finds the secret key: `Bearer sk_…`, `Bearer kid_…:sk_…` or `X-API-KEY: sk_…`. */
function readCredentials(headers: IncomingHttpHeaders): Credentials | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const apiKey = headers['x-api-key']
  const text = bearer ?? (typeof apiKey === 'string' && apiKey !== '' ? apiKey : undefined)
  if (text === undefined) return undefined
  const colon = text.indexOf(':')
  return colon === -1
    ? { text, keyId: undefined }
    : { text: text.slice(colon + 1), keyId: text.slice(0, colon) }
}

// Sec-Fetch-Mode alone says nothing: Node's own fetch sends it on every request.
function isFromBrowser(headers: IncomingHttpHeaders): boolean {
  return headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address)
}

// Passed on by the backend for the record; whatever is no address is left out of it.
function readEndUserAddress(headers: IncomingHttpHeaders): string | undefined {
  const address = headers['x-end-user-ip']
  return typeof address === 'string' && isIP(address) !== 0 ? address : undefined
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value))
}
