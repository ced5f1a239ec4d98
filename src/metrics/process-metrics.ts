import packageJson from '../../package.json' with { type: 'json' }
import type { Renew } from './metrics.ts'
import { Counter, Gauge, type Registry } from './prom-client.ts'

/** The process itself, under the names that Prometheus's own libraries give these, and what it was built from. */
export function registerProcessMetrics(registry: Registry): Renew {
  const registers = [registry]
  const start = new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process started, in unix seconds.',
    registers,
  })
  const processor = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process.',
    registers,
  })
  const resident = new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process.',
    registers,
  })
  const heap = new Gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'What of it is used by the heap of JavaScript.',
    registers,
  })
  const build = new Gauge({
    name: 'jeton_build_info',
    help: 'Which Jeton runs, and on which Node.',
    labelNames: ['version', 'node'],
    registers,
  })
  start.set(performance.timeOrigin / 1000)
  build.set({ version: packageJson.version, node: process.versions.node }, 1)

  return () => {
    const { user, system } = process.cpuUsage()
    processor.reset()
    processor.inc((user + system) / 1e6)
    const { rss, heapUsed } = process.memoryUsage()
    resident.set(rss)
    heap.set(heapUsed)
  }
}
