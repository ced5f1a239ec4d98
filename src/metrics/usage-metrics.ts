import type { Usage } from '../usage/usage.ts'
import type { Renew } from './metrics.ts'
import { Gauge, type Registry } from './prom-client.ts'

/** What the counting of usage is asked for. */
export interface UsageMetricsDeps {
  readonly usage: Pick<Usage, 'standing'>
}

/** Whether what is issued and refused arrives in the database, where it is counted. */
export function registerUsageMetrics(registry: Registry, { usage }: UsageMetricsDeps): Renew {
  const registers = [registry]
  const unwritten = new Gauge({
    name: 'jeton_usage_unwritten_counts',
    help: 'Records or counts of usage that are not in the database yet.',
    registers,
  })
  const writtenAt = new Gauge({
    name: 'jeton_usage_written_timestamp_seconds',
    help: 'When all of it was last there that there was when it was read; 0 before the first time.',
    registers,
  })

  return () => {
    const { waiting, writtenAt: at } = usage.standing()
    unwritten.set(waiting)
    writtenAt.set((at ?? 0) / 1000)
  }
}
