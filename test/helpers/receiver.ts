import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

/** What came to a receiver. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** How a receiver answers the request that came as the n-th, from 1. */
export type Answer = (response: ServerResponse, n: number) => void

/** Gives a status and nothing else. */
export function status(code: number, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(code, headers).end()
  }
}

/** A receiver of webhooks on loopback, which keeps what came. */
export async function startReceiver(
  t: TestContext,
  answer: Answer = status(204),
  tls?: { readonly cert: string; readonly key: string },
) {
  const received: Received[] = []
  const server = tls === undefined ? createServer(take) : createSecureServer(tls, take)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The receiver has no port')
  const { port } = address
  return { port, received, url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}` }

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    received.push({ path: request.url ?? '', headers: request.headers, body: await text(request) })
    answer(response, received.length)
  }
}
