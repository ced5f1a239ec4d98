import { Histogram, type Registry } from './prom-client.ts'

const LOOK_EVERY_MS = 50

/** In seconds. A few milliseconds are a collector at work; from a tenth of a second on people notice. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]

/** How late the event loop comes to what is due, by a timer that is looked at; gives back what ends the looks. */
export function registerEventLoopMetrics(registry: Registry, monotonic: () => number): () => void {
  const delays = new Histogram({
    name: 'jeton_event_loop_delay_seconds',
    help: `How late a timer was that is due every ${LOOK_EVERY_MS} ms.`,
    buckets: BUCKETS,
    registers: [registry],
  })
  let lookedAt = monotonic()
  const timer = setInterval(() => {
    const now = monotonic()
    delays.observe(Math.max(0, now - lookedAt - LOOK_EVERY_MS) / 1000)
    lookedAt = now
  }, LOOK_EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}
