import { z } from 'zod'

const ANSWER_WITHIN_MS = 5_000

const minted = z.object({ token: z.string() })
const problem = z.object({ error: z.string(), message: z.string(), requestId: z.string() }).partial()

/** What this backend asks of Jeton, with the secret key that never leaves it. */
export interface Jeton {
  /** Who someone is (`POST /auth/token`). */
  mintUser(userId: string, name: string): Promise<string>
  /** What someone may do on channels (`POST /v1/tokens`). */
  mintChannels(request: ChannelsRequest): Promise<string>
  /** Whom a peer may connect to (`POST /v1/peer/tokens`). */
  mintPeer(groupId: string, peerId: string): Promise<string>
  /** Ends every token of a subject that there is by now. */
  revokeSubject(subject: string): Promise<void>
}

export interface ChannelsRequest {
  readonly peerId: string
  readonly channels: readonly string[]
  readonly permissions: readonly string[]
  readonly expiresInSec: number
  /** What the other peers may know. */
  readonly peerMetadata: Readonly<Record<string, unknown>>
}

/** Jeton did not do it. The message is for the log: what a browser may read is another matter. */
export class JetonCallError extends Error {
  /** When this user had too many tokens: after how many seconds there is another one. */
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, options: { cause?: unknown; retryAfterSeconds?: number | undefined } = {}) {
    super(message, options)
    this.name = 'JetonCallError'
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

interface JetonOptions {
  readonly url: string
  readonly secretKey: string
}

export function createJeton({ url, secretKey }: JetonOptions): Jeton {
  return {
    mintUser: (userId, name) => mint('/auth/token', { userId, name }),
    mintChannels: (request) => mint('/v1/tokens', request),
    mintPeer: (groupId, peerId) =>
      mint('/v1/peer/tokens', { groupId, peerId, allowPolicy: { groupId, peerId: '*' } }),
    revokeSubject: async (subject) => {
      await call('/v1/revocations', { subject })
    },
  }

  async function mint(path: string, body: object): Promise<string> {
    return minted.parse(await call(path, body)).token
  }

  // The headers are made here. Those of the browser stay here: its Origin beside a secret key would be an alarm.
  async function call(path: string, body: object): Promise<unknown> {
    const reply = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { Authorization: `Bearer ${secretKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    }).catch((cause: unknown) => {
      throw new JetonCallError(`${path}: no answer`, { cause })
    })
    const answer: unknown = await reply.json().catch(() => undefined)
    if (reply.ok) return answer
    const { error, message, requestId } = problem.safeParse(answer).data ?? {}
    const retryAfter = Number(reply.headers.get('retry-after'))
    throw new JetonCallError(`${path}: ${reply.status} ${error}: ${message} (${requestId})`, {
      retryAfterSeconds: reply.status === 429 && retryAfter > 0 ? retryAfter : undefined,
    })
  }
}
