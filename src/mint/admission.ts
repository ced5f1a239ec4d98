import { createBudget } from '../domain/containment.ts'
import { JetonError } from '../domain/errors.ts'
import { type Excess, excessOf, type Needs } from '../domain/grant.ts'
import type { Limit } from '../domain/limit.ts'
import type { Format } from '../formats/format.ts'
import { longestTtl } from '../formats/lifetime.ts'
import type { Caller } from '../keys/keyring.ts'
import type { CountState, Decision, Limiter } from '../limits/limiter.ts'

/** How much of a grant one error names. */
const MOST_NAMED = 5

/** A refusal by a limit, with where all counts stand. */
export class LimitError extends JetonError {
  readonly limits: Decision

  constructor(message: string, retryAfterSeconds: number, limits: Decision) {
    super('rate_limited', message, { retryAfterSeconds })
    this.limits = limits
  }
}

/** @throws JetonError `beyond_grant` when the request needs more than its key is granted */
export function refuseBeyondGrant({ ceiling }: Caller, needs: Needs): void {
  const excess = excessOf(ceiling, needs, createBudget())
  if (excess !== undefined) throw beyondGrant(excess)
}

/** The 403 that names the member, what was asked and what the key allows. */
export function beyondGrant({ member, asked, allowed }: Excess): JetonError {
  const named = allowed.slice(0, MOST_NAMED).join(', ') + (allowed.length > MOST_NAMED ? ', …' : '')
  const message = `${member}: ${asked} is beyond this key, which allows ${named || 'nothing'}.`
  return new JetonError('beyond_grant', message, { issues: [{ path: member, message }] })
}

type Lifetimes = Pick<Format, 'name' | 'lifetime'>

/** The longest life that the key and its environment allow a token of this format, in seconds. */
export function longestTtlOf(format: Lifetimes, { ceiling, environment }: Caller): number {
  return longestTtl(format, environment.settings.lifetimes, ceiling.grant)
}

/**
 * A token's life: what was asked, else the environment's or the format's default, cut to the longest.
 *
 * @throws JetonError `beyond_grant` when more than the longest was asked
 */
export function ttlWithin(asked: number | undefined, format: Lifetimes, caller: Caller): number {
  const longest = longestTtlOf(format, caller)
  const { name, lifetime } = format
  if (asked === undefined) {
    const own = caller.environment.settings.lifetimes?.[name]?.defaultSeconds
    return Math.min(own ?? lifetime.defaultSeconds, longest)
  }
  if (asked <= longest) return asked
  if (caller.ceiling.grant.maxTtlSeconds === longest) {
    throw beyondGrant({ member: 'maxTtlSeconds', asked: `${asked}`, allowed: [`${longest}`] })
  }
  const message = `${asked} seconds are beyond this environment, whose ${name} tokens live ${longest} at most.`
  throw new JetonError('beyond_grant', message, { issues: [{ path: `settings.lifetimes.${name}`, message }] })
}

interface AdmissionDeps {
  readonly limiter: Limiter
  readonly limits: { readonly subject: Limit; readonly secretKey: Limit }
}

/** The step that counts: the last one that can refuse, so that a refusal costs nobody anything. */
export interface Admission {
  /**
   * @param subject whom the token is for; without one only the key's limit counts
   * @throws LimitError when the subject or the key had too many
   */
  admit(caller: Caller, subject: string | undefined): Promise<Decision> | Decision
}

export function createAdmission({ limiter, limits }: AdmissionDeps): Admission {
  return { admit }

  // What counts in this process answers at once, and nobody waits for what is there.
  function admit({ key, environment }: Caller, subject: string | undefined): Promise<Decision> | Decision {
    const ofKey = { policy: 'key', id: key.id, limit: limits.secretKey } as const
    const ofSubject = {
      policy: 'subject',
      id: `${key.environmentId}:${subject}`,
      limit: environment.settings.subjectLimit ?? limits.subject,
    } as const
    const taken = limiter.take(subject === undefined ? [ofKey] : [ofSubject, ofKey])
    return taken instanceof Promise ? taken.then(refuseBeyondLimit) : refuseBeyondLimit(taken)
  }
}

function refuseBeyondLimit(decision: Decision): Decision {
  if (decision.refusedBy !== undefined) throw limitReached(decision.refusedBy, decision)
  return decision
}

function limitReached(state: CountState, decision: Decision): LimitError {
  const { count, windowSeconds } = state.limit
  const whose = state.policy === 'subject' ? 'This subject' : 'This secret key'
  return new LimitError(
    `${whose} had its ${count} tokens within ${windowSeconds} s. The next is possible in ${state.resetSeconds} s.`,
    state.resetSeconds,
    decision,
  )
}
