import { type ErrorCode, errorCatalogue } from '../domain/errors.ts'
import { Counter, Histogram, type Registry } from './prom-client.ts'

/**
 * In seconds. A mint takes 0.2 to 10 ms, so that half of them lie there, close enough to tell a median from a 99th
 * percentile; the rest is for a disk, a database or a Redis that hangs, up to the time after which it is given up.
 */
const BUCKETS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]

/** The route of what is at no route's path: whatever a stranger asks for is one series. */
const UNMATCHED = 'unmatched'

/** Notes that a request was answered with this status, so many seconds after it came. */
export type RequestTimer = (status: number, seconds: number) => void

/** What the HTTP side tells as it happens. */
export interface HttpCounts {
  /** The timer of a route, by its pattern as it was registered; made once, not for each request. */
  timerOf(method: string, pattern: string): RequestTimer
  /** The timer of requests that no route is for. */
  readonly unmatched: RequestTimer
  /** Counts an error that was answered. */
  failed(code: ErrorCode): void
}

/** How long requests took, and which errors were answered. */
export function registerHttpMetrics(registry: Registry): HttpCounts {
  const registers = [registry]
  const durations = new Histogram({
    name: 'jeton_http_request_duration_seconds',
    help: 'From the head of a request to the end of its answer.',
    labelNames: ['method', 'route', 'status'],
    buckets: BUCKETS,
    registers,
  })
  const errors = new Counter({
    name: 'jeton_errors_total',
    help: 'Errors that were answered, by their code.',
    labelNames: ['code'],
    registers,
  })
  for (const code of Object.keys(errorCatalogue)) errors.inc({ code }, 0)
  return { timerOf, unmatched: timerOf('any', UNMATCHED), failed: (code) => errors.inc({ code }) }

  function timerOf(method: string, route: string): RequestTimer {
    // By the first digit of the status. A series begins with its first request, for most routes know few classes.
    const ofClass = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'].map((status) => ({ method, route, status }))
    return (status, seconds) => {
      const labels = ofClass[Math.trunc(status / 100)]
      if (labels !== undefined) durations.observe(labels, seconds)
    }
  }
}
