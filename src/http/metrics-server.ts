import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Metrics } from '../metrics/metrics.ts'
import { createServer } from '../node-http.ts'

/** A text is told again for so long, so that nobody keeps the process busy with making it. */
const FRESH_MS = 1_000

const MOST_CONNECTIONS = 64

const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 72_000,
  maxHeaderSize: 8_192,
} as const

/** A port that tells the metrics to whoever asks, and nothing else. */
export interface MetricsServer {
  readonly url: string
  /** Ends it at once. */
  close(): Promise<void>
}

interface MetricsServerDeps {
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  readonly host: string
  readonly port: number
  /** Milliseconds. */
  readonly monotonic: () => number
}

/** @throws Error when it cannot listen there */
export async function openMetricsServer({
  metrics,
  host,
  port,
  monotonic,
}: MetricsServerDeps): Promise<MetricsServer> {
  let madeAt = Number.NEGATIVE_INFINITY
  let text = Promise.resolve('')
  const server = createServer(LIMITS, (request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.maxConnections = MOST_CONNECTIONS
  server.listen(port, host)
  await once(server, 'listening')
  // One that cannot be accepted, because the process has too many files open, is no reason to end it.
  server.on('error', () => undefined)
  const address = server.address()
  const { port: open } = typeof address === 'object' && address !== null ? address : { port }
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${open}/metrics`, close }

  async function answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    const isKnown = /^\/metrics(?:$|\?)/.test(url ?? '') && (method === 'GET' || method === 'HEAD')
    if (!isKnown) {
      response.writeHead(404, { 'Cache-Control': 'no-store' }).end()
      return
    }
    const body = await freshText()
    response.writeHead(200, {
      'Content-Type': metrics.contentType,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    })
    response.end(method === 'HEAD' ? undefined : body)
  }

  function freshText(): Promise<string> {
    const now = monotonic()
    if (now - madeAt >= FRESH_MS) {
      madeAt = now
      text = metrics.text()
    }
    return text
  }

  async function close(): Promise<void> {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
}
