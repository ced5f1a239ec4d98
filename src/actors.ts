import { AsyncLocalStorage } from 'node:async_hooks'
import type { Actor } from './domain/change-record.ts'

/** On whose behalf this process changes something. */
export interface Actors {
  /** Whoever the present call is carried out for, or else the process itself. */
  current(): Actor
  /** Carries out `work`, and all that it begins, on behalf of somebody. */
  as<Result>(actor: Actor, work: () => Result): Result
}

/**
 * Follows calls through whatever they wait for, so that nothing in between has to hand on who asked.
 *
 * @param own who the process itself is
 */
export function createActors(own: Actor): Actors {
  const calls = new AsyncLocalStorage<Actor>()
  return {
    current: () => calls.getStore() ?? own,
    as: (actor, work) => calls.run(actor, work),
  }
}
