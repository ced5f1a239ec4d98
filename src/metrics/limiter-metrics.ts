import type { AuthFailures } from '../limits/auth-failures.ts'
import type { Decision, Limiter, Sharing } from '../limits/limiter.ts'
import type { Renew } from './metrics.ts'
import { Counter, Gauge, type Registry } from './prom-client.ts'
import { registerSeries } from './series-counter.ts'

export interface LimiterMetricsDeps {
  /** `undefined` when this process is to count alone: there is nothing to tell then. */
  readonly sharing: Sharing | undefined
}

/** Where limits are counted, for a process that is to share them. */
export function registerLimiterMetrics(registry: Registry, { sharing }: LimiterMetricsDeps): Renew {
  if (sharing === undefined) return () => undefined
  const registers = [registry]
  const shared = new Gauge({
    name: 'jeton_limiter_shared',
    help: '1 while limits are counted in Redis, 0 while this process counts by itself.',
    registers,
  })
  const fallbacks = new Counter({
    name: 'jeton_limiter_fallbacks_total',
    help: 'How often this process began to count limits by itself, because Redis did not.',
    registers,
  })

  return () => {
    shared.set(sharing.state() === 'shared' ? 1 : 0)
    fallbacks.reset()
    fallbacks.inc(sharing.fallbacks())
  }
}

/** What the limiter decided. Gives back what makes of a limiter one whose decisions are counted. */
export function registerDecisionMetrics(
  registry: Registry,
): (limiter: Limiter, sharing: Sharing | undefined) => Limiter {
  const seriesOf = registerSeries(registry, {
    name: 'jeton_limiter_decisions_total',
    help: 'Decisions of the limiter, and where they were counted.',
    labelNames: ['result', 'counted'],
  })
  const decisions = { local: decisionsIn('local'), shared: decisionsIn('shared') }

  return (limiter, sharing) => {
    return {
      take(counts) {
        const decision = limiter.take(counts)
        return decision instanceof Promise ? decision.then(note) : note(decision)
      },
    }

    function note(decision: Decision): Decision {
      const { refusedBy } = decision
      const counts = decisions[sharing?.state() ?? 'local']
      counts[refusedBy === undefined ? 'admitted' : refusedBy.policy]()
      return decision
    }
  }

  function decisionsIn(counted: 'local' | 'shared') {
    return {
      admitted: seriesOf({ result: 'admitted', counted }),
      subject: seriesOf({ result: 'refused_by_subject', counted }),
      key: seriesOf({ result: 'refused_by_key', counted }),
    }
  }
}

/** Authentications that failed. Gives back what makes of a counter of them one that is counted here as well. */
export function registerAuthFailureMetrics(registry: Registry): (failures: AuthFailures) => AuthFailures {
  const failures = new Counter({
    name: 'jeton_authentication_failures_total',
    help: 'Failed authentications: refused with their own code, or limited because their network had too many.',
    labelNames: ['answer'],
    registers: [registry],
  })
  for (const answer of ['refused', 'limited']) failures.inc({ answer }, 0)

  return ({ count }) => ({
    count(network) {
      const failure = count(network)
      failures.inc({ answer: failure.limited ? 'limited' : 'refused' })
      return failure
    },
  })
}
