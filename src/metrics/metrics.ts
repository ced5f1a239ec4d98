import { type JournalMetricsDeps, registerJournalMetrics } from './journal-metrics.ts'
import { type KeyMetricsDeps, registerKeyMetrics } from './key-metrics.ts'
import { type LimiterMetricsDeps, registerLimiterMetrics } from './limiter-metrics.ts'
import { Registry } from './prom-client.ts'

/** What Prometheus reads. Its labels are of closed sets: nothing that a caller chose stands in one. */
export interface Metrics {
  readonly contentType: string
  /** Everything as it is now, in Prometheus's text format. */
  text(): Promise<string>
}

/** Brings a family's metrics up to date, just before they are read. */
export type Renew = () => void

/** Each family of metrics has a file of its own here, which registers them and gives back how they are renewed. */
export function createMetrics(deps: KeyMetricsDeps & JournalMetricsDeps & LimiterMetricsDeps): Metrics {
  const registry = new Registry()
  const families: readonly Renew[] = [
    registerKeyMetrics(registry, deps),
    registerJournalMetrics(registry, deps),
    registerLimiterMetrics(registry, deps),
  ]
  return {
    contentType: registry.contentType,
    text() {
      for (const renew of families) renew()
      return registry.metrics()
    },
  }
}
