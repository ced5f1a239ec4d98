import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { z } from 'zod'
import type { Answer, Call } from './replica-load.ts'

/** A stretch of time, in unix milliseconds of this machine's clock, both ends included. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** What was done to the servers; `replica` is the only one that it is done to. */
export interface Fault extends Stretch {
  readonly what: 'killed' | 'cut off' | 'database away' | 'held up'
  readonly replica?: string
}

/** When something was taken back: asked for, and acknowledged. */
export interface Acknowledged {
  readonly askedAt: number
  readonly doneAt: number
}

export function touches(one: Stretch, other: Stretch): boolean {
  return one.from <= other.to && other.from <= one.to
}

/** From when it was sent until its answer was there. */
export function spanOf({ sentAt, answeredAt }: Call): Stretch {
  return { from: sentAt, to: answeredAt }
}

const line = z.object({ time: z.iso.datetime().or(z.number()), msg: z.string() })

/** When a process counted limits by itself, as its log says: none that it had begun may go on past `endedAt`. */
export function localStretches(log: string, endedAt: number): Stretch[] {
  const found: Stretch[] = []
  let from: number | undefined
  for (const text of log.split('\n')) {
    if (!text.includes('Redis') || !text.startsWith('{')) continue
    const { time, msg } = line.parse(JSON.parse(text))
    const at = new Date(time).getTime()
    if (msg.startsWith('Redis does not count')) from ??= at
    if (msg !== 'limits are counted in Redis again' || from === undefined) continue
    found.push({ from, to: at })
    from = undefined
  }
  return from === undefined ? found : [...found, { from, to: endedAt }]
}

export interface Counting {
  readonly count: number
  readonly windowMs: number
  /** For each process that ever ran, when it counted by itself. */
  readonly alone: readonly (readonly Stretch[])[]
  /** When Redis forgot everything. */
  readonly forgot: readonly Stretch[]
}

/**
 * The most that a subject had within one window, with a fault and without; and where that was more than DESIGN 7 allows:
 * one limit from Redis, one more each time it forgot, and one from each process that counted by itself.
 *
 * A token was counted at some moment between its request and its answer. Only what lies within one window wherever these
 * moments were is held against the limiter.
 */
export function judgeLimit(minted: readonly Call[], { count, windowMs, alone, forgot }: Counting) {
  const tokens = minted.toSorted((a, b) => a.sentAt - b.sentAt)
  const beyond: string[] = []
  let [most, mostInCalm] = [0, 0]
  for (const [first, { sentAt, subject }] of tokens.entries()) {
    let to = 0
    for (const [index, { answeredAt }] of tokens.slice(first).entries()) {
      to = Math.max(to, answeredAt)
      if (to - sentAt >= windowMs - ROUNDING_MS) break
      const interval = { from: sentAt, to }
      const memories = [...alone.filter((own) => own.some((one) => touches(one, interval)))]
      const limits = 1 + memories.length + forgot.filter((one) => touches(one, interval)).length
      const had = index + 1
      most = Math.max(most, had)
      if (limits === 1) mostInCalm = Math.max(mostInCalm, had)
      if (had > limits * count)
        beyond.push(`${subject} had ${had} within ${to - sentAt} ms: ${limits} limits`)
    }
  }
  return { most, mostInCalm, beyond }
}

/** Moments are told in whole milliseconds. */
const ROUNDING_MS = 2

/** Errors that DESIGN 9 names for what is away; none of them ever for another reason. */
const NAMED = new Set(['store_unavailable', 'journal_unavailable', 'shutting_down'])

/** Whether a fault explains that this call has no answer, or one of 500 and more. */
export function isExplained(call: Call, faults: readonly Fault[], staleAfterMs: number): boolean {
  if (call.status !== undefined && !NAMED.has(call.answer.error ?? '')) return false
  return faults.some((fault) => {
    if (fault.replica !== undefined && fault.replica !== call.replica) return false
    if (call.status === undefined) return fault.what === 'killed' && touches(fault, spanOf(call))
    if (fault.what === 'killed') return false
    if (fault.what === 'held up') return touches(fault, spanOf(call))
    // It goes on with what it knows: on a machine that does much else, that is not of this moment when the fault begins.
    const from = call.what === 'change' ? fault.from : fault.from + staleAfterMs / 2
    return touches({ from, to: fault.to }, spanOf(call))
  })
}

/** How long an answer takes, at least, of a process that other programs leave hardly any processor to. */
const HELD_UP_MS = 500
/** How much longer it may know less than it must: until its next read of the database has come to an end. */
const AFTERWARDS_MS = 1_000

/**
 * When the machine kept a replica from working, as the time tells that its answers took. It then knows too little in time,
 * and says so, whatever is done to PostgreSQL.
 */
export function heldUp(calls: readonly Call[]): Fault[] {
  return calls
    .filter(({ what, sentAt, answeredAt }) => what !== 'change' && answeredAt - sentAt >= HELD_UP_MS)
    .map(({ replica, sentAt, answeredAt }) => ({
      what: 'held up',
      replica,
      from: sentAt - AFTERWARDS_MS,
      to: answeredAt + AFTERWARDS_MS,
    }))
}

type Keys = NonNullable<Answer['keys']>

/**
 * What is wrong with tokens for somebody who verifies them with a copy of the JWKS: each with the latest one that was there
 * before the token was asked for, from whichever replica.
 */
export async function judgeSignatures(minted: readonly Call[], fetched: readonly Call[]): Promise<string[]> {
  const copies = fetched
    .flatMap(({ answer: { keys }, answeredAt }) => (keys === undefined ? [] : [{ keys, answeredAt }]))
    .toSorted((a, b) => a.answeredAt - b.answeredAt)
  const refused: string[] = []
  let at = 0
  for (const { answer, sentAt, replica } of minted.toSorted((a, b) => a.sentAt - b.sentAt)) {
    while ((copies[at + 1]?.answeredAt ?? Number.POSITIVE_INFINITY) < sentAt) at += 1
    const copy = copies[at]
    if (copy === undefined || answer.token === undefined) continue
    await jwtVerify(answer.token, verifierOf(copy.keys)).catch((error) =>
      refused.push(`a token of ${replica}: ${error}`),
    )
  }
  return refused
}

const verifiers = new WeakMap<Keys, ReturnType<typeof createLocalJWKSet>>()

function verifierOf(keys: Keys): ReturnType<typeof createLocalJWKSet> {
  const known = verifiers.get(keys) ?? createLocalJWKSet({ keys })
  verifiers.set(keys, known)
  return known
}

export function kidOf({ answer }: Call): string {
  return decodeProtectedHeader(answer.token ?? '').kid ?? ''
}
