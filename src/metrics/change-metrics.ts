import type { ChangeHead } from '../domain/change-record.ts'
import type { Renew } from './metrics.ts'
import { Gauge, type Registry } from './prom-client.ts'

/** What the records of changes are asked for. */
export interface ChangeMetricsDeps {
  readonly changeHeads: { current(): ChangeHead | undefined }
}

/** Where the records of changes end: an anchor against a database from which the last of them were removed. */
export function registerChangeMetrics(registry: Registry, { changeHeads }: ChangeMetricsDeps): Renew {
  const registers = [registry]
  const revision = new Gauge({
    name: 'jeton_changes_head_revision',
    help: 'The revision of the last recorded change to environments and keys.',
    registers,
  })
  const info = new Gauge({
    name: 'jeton_changes_head_info',
    help: 'The SHA-256 of the record of the last change.',
    labelNames: ['sha256'],
    registers,
  })

  return () => {
    // One series, of the newest hash alone.
    info.reset()
    const head = changeHeads.current()
    if (head === undefined) return
    revision.set(head.revision)
    info.set({ sha256: head.sha256 }, 1)
  }
}
