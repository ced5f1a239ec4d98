import type { Journal, WrittenBatch } from '../journal/journal.ts'
import type { Renew } from './metrics.ts'
import { Gauge, Histogram, type Registry } from './prom-client.ts'

/** What the journal is asked for. */
export interface JournalMetricsDeps {
  readonly journal: Pick<Journal, 'isAvailable' | 'standing'>
}

/** Whether records can be written, what waits, and the chain's last hash: an anchor against a journal that is cut. */
export function registerJournalMetrics(registry: Registry, { journal }: JournalMetricsDeps): Renew {
  const registers = [registry]
  const available = new Gauge({
    name: 'jeton_journal_available',
    help: 'Whether records can be written.',
    registers,
  })
  const backlog = new Gauge({
    name: 'jeton_journal_backlog_bytes',
    help: 'Bytes of records that wait to be written.',
    registers,
  })
  const records = new Gauge({
    name: 'jeton_journal_head_number',
    help: 'The number of the last safe record in its chain.',
    registers,
  })
  const head = new Gauge({
    name: 'jeton_journal_head_info',
    help: 'The SHA-256 of the last safe record of this process’s chain.',
    labelNames: ['instance', 'sha256'],
    registers,
  })

  return () => {
    available.set(journal.isAvailable() ? 1 : 0)
    // One series, of the newest hash alone.
    head.reset()
    const standing = journal.standing()
    if (standing === undefined) return
    backlog.set(standing.backlogBytes)
    records.set(standing.head.n)
    head.set({ instance: standing.instance, sha256: standing.head.sha256 }, 1)
  }
}

/** In seconds: from a disk of its own, which syncs in 0.2 ms, to one that hangs. */
const SYNC_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

/** How long batches of records took until they were safe, and how large they were. */
export function registerBatchMetrics(registry: Registry): (batch: WrittenBatch) => void {
  const registers = [registry]
  const durations = new Histogram({
    name: 'jeton_journal_sync_duration_seconds',
    help: 'How long it took to write a batch of records and to sync it to the disk.',
    buckets: SYNC_BUCKETS,
    registers,
  })
  const sizes = new Histogram({
    name: 'jeton_journal_batch_records',
    help: 'Records of a batch, which are synced at once.',
    buckets: BATCH_BUCKETS,
    registers,
  })

  return ({ records, seconds }) => {
    durations.observe(seconds)
    sizes.observe(records.length)
  }
}
