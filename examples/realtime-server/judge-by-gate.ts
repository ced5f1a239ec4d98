import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Ask, Concerned, Decision, Judge, Presented } from './judge.ts'

/** A client waits ten seconds for its welcome; it shall rather hear that we cannot tell. */
const ANSWER_WITHIN_MS = 3_000
/** How long Jeton may hold an answer about revocations back until there is something new. */
const WAIT_SECONDS = 25
const TRY_AGAIN_AFTER_MS = 1_000

const answer = z.discriminatedUnion('allowed', [
  z.object({
    allowed: z.literal(true),
    format: z.string().nullable(),
    subject: z.string().nullable(),
    expiresAt: z.int().nullable(),
    claims: z.record(z.string(), z.unknown()),
  }),
  z.object({ allowed: z.literal(false), code: z.string(), closeCode: z.int(), detail: z.string() }),
])

const feed = z.object({ version: z.int() })

interface GateOptions {
  /** Where Jeton is: `http://127.0.0.1:3000`. */
  readonly jetonUrl: string
  /** A secret key whose grant is `{"uses":["verify"]}`: whoever breaks in here cannot mint with it. */
  readonly verifyKey: string
  /** Publishable keys stand in no feed, so whoever came with one is looked at again this often. */
  readonly lookAtKeysEveryMs?: number
}

/** Judges by asking Jeton about everything, one HTTP call each: nothing to keep here, and publishable keys work too. */
export function createGateJudge({ jetonUrl, verifyKey, lookAtKeysEveryMs = 10_000 }: GateOptions): Judge {
  return { judge, follow }

  async function judge({ token, publishableKey, origin }: Presented, ask?: Ask): Promise<Decision> {
    const reply = await call('/v1/verify', AbortSignal.timeout(ANSWER_WITHIN_MS), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token, publishableKey, origin, ask }),
    })
    return answer.parse(await reply.json())
  }

  async function follow(again: (concerned: Concerned) => Promise<void>, signal: AbortSignal): Promise<void> {
    await Promise.all([followFeed(again, signal), lookAtKeys(again, signal)])
  }

  // Only that something was revoked is read from the feed: what that means for whom, the gate says.
  async function followFeed(
    again: (concerned: Concerned) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    let known = { version: 0, etag: '' }
    while (!signal.aborted) {
      try {
        known = await nextChange(known, signal)
        // Not waited for: the next revocation need not wait until everybody was asked about because of this one.
        void again(() => true)
      } catch {
        // Whatever was revoked meanwhile is in the answer to the first question that is answered again.
        known = { ...known, etag: '' }
        await sleep(TRY_AGAIN_AFTER_MS, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  async function nextChange(known: { version: number; etag: string }, signal: AbortSignal) {
    for (;;) {
      const patience = AbortSignal.any([signal, AbortSignal.timeout((WAIT_SECONDS + 5) * 1000)])
      const reply = await call(`/v1/revocations?since=${known.version}&wait=${WAIT_SECONDS}`, patience, {
        headers: { 'If-None-Match': known.etag },
      })
      if (reply.status === 304) continue
      const { version } = feed.parse(await reply.json())
      return { version, etag: reply.headers.get('etag') ?? '' }
    }
  }

  async function call(path: string, signal: AbortSignal, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers)
    headers.set('Authorization', `Bearer ${verifyKey}`)
    const reply = await fetch(new URL(path, jetonUrl), { ...init, headers, signal })
    if (reply.ok || reply.status === 304) return reply
    await reply.body?.cancel()
    throw new Error(`Jeton answered ${reply.status} to ${path}`)
  }

  async function lookAtKeys(
    again: (concerned: Concerned) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      await sleep(lookAtKeysEveryMs, undefined, { signal }).catch(() => undefined)
      await again(({ publishableKey }) => publishableKey !== undefined)
    }
  }
}
