import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import fastifyFormbody from '@fastify/formbody'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { decodeJwt } from 'jose'
import { z } from 'zod'
import { type Jeton, JetonCallError } from './jeton.ts'
import type { Sessions } from './session.ts'
import { tokenRoutes } from './token-routes.ts'
import { findUser, users } from './users.ts'

const BODY_LIMIT_BYTES = 4_096
const TAB = /^[\w-]{1,32}$/

/** What the pages are made of. Nothing else can be asked for by name. */
const assets: Readonly<Record<string, { file: string; type: string }>> = {
  '/style.css': { file: './pages/style.css', type: 'text/css' },
  '/sign-in.js': { file: './pages/sign-in.js', type: 'text/javascript' },
  '/lobby.js': { file: './pages/lobby.js', type: 'text/javascript' },
  // As it comes from npm: the page imports it as a module.
  '/metered-realtime.js': { file: import.meta.resolve('@metered-ca/realtime'), type: 'text/javascript' },
}

const choice = z.object({ userId: z.string() })
const colored = z.object({ color: z.string() })

export interface BackendOptions {
  readonly jeton: Jeton
  readonly sessions: Sessions
  /** Where the page connects: `ws://127.0.0.1:8081`. */
  readonly realtimeUrl: string
  /** Takes why something failed. Never a token. */
  readonly log: (event: string, about: Readonly<Record<string, unknown>>) => void
}

/** The backend of an app: its pages, its sign-in, and its own endpoints that mint. It does not listen. */
export async function buildBackend(options: BackendOptions): Promise<FastifyInstance> {
  const { jeton, sessions, realtimeUrl, log } = options
  const app = fastify({ bodyLimit: BODY_LIMIT_BYTES })
  await app.register(fastifyFormbody)

  app.addHook('onRequest', async (request, reply) => {
    // The page may load what is ours and connect to the realtime server, and no other page may show it in a frame.
    const policy = `default-src 'self'; img-src data:; connect-src 'self' ${realtimeUrl}; frame-ancestors 'none'`
    reply.headers({
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      // Not no-referrer: a browser would then send `Origin: null` with the sign-in.
      'Referrer-Policy': 'same-origin',
      'Cache-Control': 'no-store',
    })
    if (!isOwnPage(request)) return reply.code(403).send({ error: 'other_site' })
  })

  app.setErrorHandler((error, request, reply) => {
    if (error instanceof JetonCallError) return sendFailure(error, reply)
    const status = hasStatus(error) && error.statusCode < 500 ? error.statusCode : 500
    if (status === 500) log('request failed', { path: request.routeOptions.url, error: String(error) })
    return reply.code(status).send({ error: status === 500 ? 'internal' : 'bad_request' })
  })

  app.get('/', async (_request, reply) => reply.type('text/html').send(await read('./pages/sign-in.html')))
  app.get('/api/users', async () => users)
  for (const [path, { file, type }] of Object.entries(assets)) {
    app.get(path, async (_request, reply) => reply.type(type).send(await read(file)))
  }

  app.post('/sign-in', async (request, reply) => {
    // The demo believes whoever says that they are Alice. Check a password or a passkey here.
    const user = findUser(choice.safeParse(request.body).data?.userId)
    if (user === undefined) return reply.code(400).send({ error: 'user_unknown' })
    // It has just come from Jeton itself, so there is nothing to verify.
    const { color } = colored.parse(decodeJwt(await jeton.mintUser(user.id, user.name)))
    // Each sign-in has a path of its own, and its cookie belongs to that path: two tabs can be two users.
    const path = `/tab/${randomBytes(9).toString('base64url')}/`
    return reply.header('Set-Cookie', sessions.issue(user.id, color, path)).redirect(path, 303)
  })

  app.get<{ Params: { tab: string } }>('/tab/:tab/', async (request, reply) => {
    const isSignedIn = TAB.test(request.params.tab) && sessions.read(request.headers.cookie) !== undefined
    if (!isSignedIn) return reply.redirect('/', 303)
    return reply.type('text/html').send(await read('./pages/lobby.html'))
  })

  // An app in which a browser is one user has them at `/` alone.
  for (const prefix of ['', '/tab/:tab'])
    await app.register(tokenRoutes, { prefix, jeton, sessions, realtimeUrl })
  return app

  function sendFailure(error: JetonCallError, reply: FastifyReply): FastifyReply {
    const { retryAfterSeconds } = error
    if (retryAfterSeconds !== undefined) {
      return reply.code(429).header('Retry-After', retryAfterSeconds).send({ error: 'too_many_tokens' })
    }
    // What went wrong between this backend and Jeton is no business of the browser’s.
    log('no token', { error: error.message, cause: String(error.cause ?? '') })
    return reply.code(503).send({ error: 'token_unavailable' })
  }
}

// The cookie is SameSite already. This holds for browsers that send it all the same.
function isOwnPage({ method, headers, host }: FastifyRequest): boolean {
  if (method === 'GET' || method === 'HEAD' || headers.origin === undefined) return true
  return URL.parse(headers.origin)?.host === host
}

async function read(file: string): Promise<string> {
  return await readFile(fileURLToPath(new URL(file, import.meta.url)), 'utf8')
}

function hasStatus(error: unknown): error is { statusCode: number } {
  return z.object({ statusCode: z.int() }).safeParse(error).success
}
