import type { Sharing } from '../limits/limiter.ts'
import type { Renew } from './metrics.ts'
import { Counter, Gauge, type Registry } from './prom-client.ts'

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
