import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Jeton } from './jeton.ts'
import type { Session, Sessions } from './session.ts'
import { findUser, type User } from './users.ts'

/** Where everyone of this app is. A real one asks its database which channels this user belongs to. */
export const CHANNEL = 'lobby'
/** What someone may do in it. */
const PERMISSIONS = ['publish', 'subscribe', 'presence', 'send']
/** Short: the client fetches a fresh one by itself, and each time this backend can say no. */
const TTL_SECONDS = 600

const target = z.strictObject({ peerId: z.string() })

interface TokenRoutes {
  readonly jeton: Jeton
  readonly sessions: Sessions
  /** Where the page connects. */
  readonly realtimeUrl: string
}

/** The app's own endpoints, in the shapes that the guides of the products have. Each is for whoever is signed in. */
export async function tokenRoutes(app: FastifyInstance, deps: TokenRoutes): Promise<void> {
  const { jeton, sessions, realtimeUrl } = deps

  // Nobody is asked who they are: the session says so. Otherwise anyone could have anyone's token.
  app.addHook('onRequest', async (request, reply) => {
    if (signedIn(request) === undefined) return reply.code(401).send({ error: 'signed_out' })
  })

  app.get('/api/me', async (request) => {
    const { user, color } = caller(request)
    return { ...user, color, channel: CHANNEL, realtimeUrl }
  })

  // As in the guide of Metered: the page's `tokenProvider` asks here, now and whenever it has to connect anew.
  app.get('/api/mint-signalling-token', async (request) => {
    const { user, color } = caller(request)
    const token = await jeton.mintChannels({
      peerId: user.id,
      channels: [CHANNEL],
      permissions: PERMISSIONS,
      expiresInSec: TTL_SECONDS,
      // The others see these. They stand in the token, so nobody can call themselves something else.
      peerMetadata: { name: user.name, color },
    })
    return { token }
  })

  // As in the guide of PulseBeam.
  app.post('/auth', async (request) => {
    const { user } = caller(request)
    return { groupId: CHANNEL, token: await jeton.mintPeer(CHANNEL, user.id) }
  })

  // As in the guide of Pulse: who someone is, with a name and a colour.
  app.post('/api/user-token', async (request) => {
    const { user } = caller(request)
    return { token: await jeton.mintUser(user.id, user.name) }
  })

  // Here anyone may shut anyone out, which makes a better demo than app. Ask for the moderator's role in yours.
  app.post('/api/revoke', async (request, reply) => {
    const user = findUser(target.safeParse(request.body).data?.peerId)
    if (user === undefined) return reply.code(404).send({ error: 'user_unknown' })
    // First the session, or the next token would be minted before the last one is dead.
    sessions.endAll(user.id)
    // The subject of a peer token is its group and its peer.
    await Promise.all([user.id, `${CHANNEL}:${user.id}`].map((subject) => jeton.revokeSubject(subject)))
    return reply.code(204).send()
  })

  function signedIn(request: FastifyRequest): { user: User; color: string } | undefined {
    const session: Session | undefined = sessions.read(request.headers.cookie)
    const user = findUser(session?.userId)
    return session === undefined || user === undefined ? undefined : { user, color: session.color }
  }

  function caller(request: FastifyRequest): { user: User; color: string } {
    const found = signedIn(request)
    if (found === undefined) throw new Error('A route without its session check')
    return found
  }
}
