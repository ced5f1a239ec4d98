import type { Limit } from '../domain/limit.ts'

/** One count that a request adds to. */
export interface Count {
  /** The policy's name in the `RateLimit` headers. */
  readonly policy: 'subject' | 'key'
  /** Whose count it is: unique over all environments. */
  readonly id: string
  readonly limit: Limit
}

/** A count after it was asked. */
export interface CountState {
  readonly policy: Count['policy']
  readonly limit: Limit
  /** How many more may come at once. */
  readonly remaining: number
  /** Whole seconds until `remaining` grows; 0 when nothing is counted. */
  readonly resetSeconds: number
}

export interface Decision {
  readonly allowed: boolean
  /** Every count that was asked: all of them, or up to the one that refused. */
  readonly states: readonly CountState[]
  /** The count that refused, when one did. */
  readonly refusedBy: CountState | undefined
}

/**
 * Counts requests. A request is counted in all of its counts or, when one of them is full, in none.
 *
 * The promise for `subject`: in no interval of the window's length does one get more than the limit, and no count
 * is forgotten early to save memory. `key` may be approximate.
 */
export interface Limiter {
  take(counts: readonly Count[]): Promise<Decision> | Decision
}

/** Whether this process counts together with others. */
export interface Sharing {
  /** `local` while what is shared cannot be reached, and each process counts by itself. */
  state(): 'shared' | 'local'
  /** How often this process began to count by itself. */
  fallbacks(): number
}
