import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'

/** A sign-in is good for so long, whatever its holder does. */
const LIFE_SECONDS = 8 * 3600
const COOKIE = 'session'

const session = z.strictObject({ userId: z.string(), color: z.string(), issuedAt: z.int() })

/** Who is signed in, since when. It is read from what this backend wrote itself, never from what a browser says. */
export type Session = z.output<typeof session>

/** Writes and reads the cookie that says who is signed in. */
export interface Sessions {
  /** @returns the value of a `Set-Cookie` header, for this path and all below it */
  issue(userId: string, color: string, path: string): string
  /** The session that a `Cookie` header carries, if it is one of ours that is still good. */
  read(cookieHeader: string | undefined): Session | undefined
  /** Ends every session of a user that there is by now. */
  endAll(userId: string): void
}

interface SessionDeps {
  /** Signs the cookies. Whoever has it can be anyone. */
  readonly secret: Buffer
  /** Unix milliseconds. */
  readonly now: () => number
}

/** A secret that ends every session with the process. Keep one of your own if sessions shall outlive it. */
export function newSessionSecret(): Buffer {
  return randomBytes(32)
}

export function createSessions({ secret, now }: SessionDeps): Sessions {
  // In memory, as this backend is one process; with several it belongs into their database.
  const endedAt = new Map<string, number>()
  return { issue, read, endAll }

  function issue(userId: string, color: string, path: string): string {
    const payload = Buffer.from(JSON.stringify({ userId, color, issuedAt: now() })).toString('base64url')
    // Scripts cannot read it, and other sites cannot send it. Behind HTTPS it should be `Secure` as well.
    const attributes = `Path=${path}; Max-Age=${LIFE_SECONDS}; HttpOnly; SameSite=Strict`
    return `${COOKIE}=${payload}.${sign(payload)}; ${attributes}`
  }

  function read(cookieHeader = ''): Session | undefined {
    const [, payload, signature] = new RegExp(`(?:^|; )${COOKIE}=([^.;]*)\\.([^;]*)`).exec(cookieHeader) ?? []
    if (payload === undefined || signature === undefined || !isEqual(signature, sign(payload)))
      return undefined
    // The signature says that this text is ours, so it is JSON; the schema says that this version wrote it.
    const found = session.safeParse(JSON.parse(Buffer.from(payload, 'base64url').toString())).data
    if (found === undefined || now() >= found.issuedAt + LIFE_SECONDS * 1000) return undefined
    return found.issuedAt > (endedAt.get(found.userId) ?? 0) ? found : undefined
  }

  function endAll(userId: string): void {
    endedAt.set(userId, now())
  }

  function sign(payload: string): string {
    return createHmac('sha256', secret).update(payload).digest('base64url')
  }
}

function isEqual(one: string, other: string): boolean {
  const [first, second] = [Buffer.from(one), Buffer.from(other)]
  return first.length === second.length && timingSafeEqual(first, second)
}
