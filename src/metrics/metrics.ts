import type { Gate } from '../gate/gate.ts'
import type { WrittenBatch } from '../journal/journal.ts'
import type { AuthFailures } from '../limits/auth-failures.ts'
import type { Limiter, Sharing } from '../limits/limiter.ts'
import type { Seams } from '../seams.ts'
import { type AlertMetricsDeps, registerAlertMetrics } from './alert-metrics.ts'
import { type ChangeMetricsDeps, registerChangeMetrics } from './change-metrics.ts'
import { registerEventLoopMetrics } from './event-loop-metrics.ts'
import { type RevocationMetricsDeps, registerGateMetrics, registerRevocationMetrics } from './gate-metrics.ts'
import { type HttpCounts, registerHttpMetrics } from './http-metrics.ts'
import { type JournalMetricsDeps, registerBatchMetrics, registerJournalMetrics } from './journal-metrics.ts'
import { type KeyMetricsDeps, registerKeyMetrics } from './key-metrics.ts'
import {
  type LimiterMetricsDeps,
  registerAuthFailureMetrics,
  registerDecisionMetrics,
  registerLimiterMetrics,
} from './limiter-metrics.ts'
import { registerProcessMetrics } from './process-metrics.ts'
import { Registry } from './prom-client.ts'
import { registerStoreMetrics, type StoreMetricsDeps } from './store-metrics.ts'
import { registerTokenMetrics, type TokenCounts } from './token-metrics.ts'
import { registerUsageMetrics, type UsageMetricsDeps } from './usage-metrics.ts'

/** What Prometheus reads. Its labels are of closed sets: nothing that a caller chose stands in one. */
export interface Metrics {
  readonly contentType: string
  /** Everything as it is now, in Prometheus's text format. */
  text(): Promise<string>
  /** What the HTTP side tells as it happens. */
  readonly http: HttpCounts
  /** What became of requests for tokens. */
  readonly tokens: Pick<TokenCounts, 'refused'>
}

/** Brings a family's metrics up to date, just before they are read. */
export type Renew = () => void

/** What is counted as it happens: told of, or by a service that is handed back so that it is. */
export interface Counting {
  issued(format: string): void
  batch(batch: WrittenBatch): void
  limiter(limiter: Limiter, sharing: Sharing | undefined): Limiter
  authFailures(failures: AuthFailures): AuthFailures
  gate(gate: Gate): Gate
}

/** What the families ask for when they are read. */
export type MetricsDeps = KeyMetricsDeps &
  JournalMetricsDeps &
  ChangeMetricsDeps &
  LimiterMetricsDeps &
  StoreMetricsDeps &
  RevocationMetricsDeps &
  UsageMetricsDeps &
  AlertMetricsDeps

/**
 * Begins to measure, before there is anything to measure. Each family of metrics has a file of its own here, which
 * registers them.
 */
export function openMetrics({ monotonic }: Pick<Seams, 'monotonic'>) {
  const registry = new Registry()
  const http = registerHttpMetrics(registry)
  const tokens = registerTokenMetrics(registry)
  const counting: Counting = {
    issued: tokens.issued,
    batch: registerBatchMetrics(registry),
    limiter: registerDecisionMetrics(registry),
    authFailures: registerAuthFailureMetrics(registry),
    gate: registerGateMetrics(registry),
  }
  const close = registerEventLoopMetrics(registry, monotonic)
  return { counting, over, close }

  /** What is read of services that are there now. */
  function over(deps: MetricsDeps): Metrics {
    const families: readonly Renew[] = [
      registerKeyMetrics(registry, deps),
      registerJournalMetrics(registry, deps),
      registerChangeMetrics(registry, deps),
      registerLimiterMetrics(registry, deps),
      registerStoreMetrics(registry, deps),
      registerRevocationMetrics(registry, deps),
      registerUsageMetrics(registry, deps),
      registerAlertMetrics(registry, deps),
      registerProcessMetrics(registry),
    ]
    return {
      contentType: registry.contentType,
      text() {
        for (const renew of families) renew()
        return registry.metrics()
      },
      http,
      tokens,
    }
  }
}
