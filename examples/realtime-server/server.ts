import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Connection, closeCodes, openConnection } from './connection.ts'
import { MAX_FRAME_BYTES } from './frames.ts'
import { createHub } from './hub.ts'
import type { Concerned, Judge, Presented } from './judge.ts'

const PATH = '/v1'
/** Of all peers together, those that are still being judged included. */
const MOST_CONNECTIONS = 10_000
/** A connection that did not answer one ping when the next is due is dead: its network went away without a word. */
const PING_EVERY_MS = 30_000
/** So many connections are judged anew at once. */
const REVIEWS_AT_ONCE = 50
const CLOSE_WITHIN_MS = 2_000

export interface RealtimeServerOptions {
  readonly judge: Judge
  readonly host: string
  readonly port: number
  /** Unix milliseconds. */
  readonly now: () => number
  /** Takes what is worth knowing. Never a token. */
  readonly log: (event: string, about: Readonly<Record<string, unknown>>) => void
}

export interface RealtimeServer {
  /** Where clients connect: `ws://127.0.0.1:8081`. */
  readonly url: string
  close(): Promise<void>
}

/** Starts a server that speaks the frames of `@metered-ca/realtime` and does what the judge allows. */
export async function startRealtimeServer(options: RealtimeServerOptions): Promise<RealtimeServer> {
  const { judge, host, port, now, log } = options
  const hub = createHub()
  const connections = new Set<Connection>()
  const stopped = new AbortController()
  const http = createServer((_request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', 'Content-Type': 'text/plain' }).end('WebSocket only\n')
  })
  // Compression would let a small frame become a large one in our memory.
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
  })

  http.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    const presented = readPresented(request)
    if (presented === undefined) socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
    // A browser shows no script why an upgrade failed. So everyone is let in as far as to hear a close code.
    else sockets.handleUpgrade(request, socket, head, (upgraded) => open(upgraded, presented))
  })

  const pinging = setInterval(pingAll, PING_EVERY_MS)
  const following = judge.follow(review, stopped.signal)
  http.listen(port, host)
  await once(http, 'listening')
  return { url: urlOf(http.address()), close }

  function open(socket: WebSocket, presented: Presented): void {
    const { token, publishableKey } = presented
    if (stopped.signal.aborted) socket.close(closeCodes.shuttingDown, 'shutting_down')
    else if (connections.size >= MOST_CONNECTIONS)
      socket.close(closeCodes.tooManyConnections, 'too_many_connections')
    else if (token === undefined && publishableKey === undefined)
      socket.close(closeCodes.invalid, 'credential_missing')
    else {
      const connection = openConnection({ socket, presented, judge, hub, now, log })
      connections.add(connection)
      socket.once('close', () => connections.delete(connection))
    }
  }

  async function review(concerned: Concerned): Promise<void> {
    try {
      await reviewAll([...connections].filter(({ presented }) => concerned(presented)))
    } catch (error) {
      log('review failed', { error: String(error) })
    }
  }

  function pingAll(): void {
    for (const socket of sockets.clients) {
      if (silent.has(socket)) socket.terminate()
      else {
        silent.add(socket)
        socket.once('pong', () => silent.delete(socket)).ping()
      }
    }
  }

  async function close(): Promise<void> {
    stopped.abort()
    clearInterval(pinging)
    const ended = once(http, 'close')
    http.close()
    for (const connection of connections) connection.close(closeCodes.shuttingDown, 'shutting_down')
    const patience = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate()
    }, CLOSE_WITHIN_MS)
    await ended
    clearTimeout(patience)
    await following
  }
}

/** Connections that have not answered the last ping. */
const silent = new WeakSet<WebSocket>()

async function reviewAll(connections: readonly Connection[]): Promise<void> {
  for (let from = 0; from < connections.length; from += REVIEWS_AT_ONCE) {
    await Promise.all(connections.slice(from, from + REVIEWS_AT_ONCE).map((one) => one.review()))
  }
}

/** What came with the upgrade, or `undefined` when it is for something else. A member that came twice is none. */
function readPresented({ url = '', headers }: IncomingMessage): Presented | undefined {
  const { pathname, searchParams } = URL.parse(url, 'ws://here') ?? {}
  if (pathname !== PATH || searchParams === undefined) return undefined
  const [token, ...tokens] = searchParams.getAll('token')
  const [publishableKey, ...keys] = searchParams.getAll('key')
  if (tokens.length > 0 || keys.length > 0) return undefined
  return { token, publishableKey, origin: headers.origin }
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') throw new Error('The server has no address')
  const { family, address: host, port } = address
  return `ws://${family === 'IPv6' ? `[${host}]` : host}:${port}`
}
