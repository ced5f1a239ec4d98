import type { Journal } from '../journal/journal.ts'
import type { Renew } from './metrics.ts'
import { Gauge, type Registry } from './prom-client.ts'

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
