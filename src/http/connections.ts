import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** What is known of the open connections of a server. */
export interface Connections {
  /**
   * Takes note that nothing more can be read from a connection. What came whole before still gets its answers, and then
   * the connection is let go.
   *
   * @returns whether there is room for an answer that says what was wrong
   */
  breakOff(socket: Socket): boolean
  destroyAll(): void
}

interface Standing {
  /** How many requests are being answered: several when they came one behind another. */
  unanswered: number
  /** Of the last request that came. Nothing once both are whole: a connection that rests holds no memory for it. */
  answer: ServerResponse | undefined
  isBroken: boolean
}

/**
 * How long a connection that can be read no further may stay once it has its answer: to close it at once could take the
 * answer away from who is still sending (RFC 9112 §9.6), and a stranger could keep what stays for ever.
 */
const LINGER_MS = 1_000

/** Ends a connection, after these last bytes, whatever the other side does. */
export function letGo(socket: Socket, last = ''): void {
  socket.end(last)
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

export function followConnections({ server }: FastifyInstance): Connections {
  const open = new Set<Socket>()
  // One look-up a request: to add to and take from a weak set each time gives the collector work. Over TLS these are other
  // sockets than those that are open.
  const standings = new WeakMap<Socket, Standing>()

  server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  // Not by Fastify's hooks, which a path that is no URL never reaches.
  server.prependListener('request', begin)
  server.prependListener('checkExpectation', begin)

  return {
    breakOff(socket) {
      const standing = standings.get(socket)
      if (standing === undefined) return true
      if (wholeOf(standing) > 0) standing.isBroken = true
      else if (standing.answer?.headersSent) letGo(socket)
      else return true
      return false
    },
    destroyAll() {
      for (const socket of open) socket.destroy()
    },
  }

  function begin({ socket }: IncomingMessage, answer: ServerResponse): void {
    const standing = standings.get(socket)
    if (standing === undefined) standings.set(socket, { unanswered: 1, answer, isBroken: false })
    else {
      standing.unanswered += 1
      standing.answer = answer
    }
    answer.on('finish', end)
  }

  function end(this: ServerResponse): void {
    const { socket } = this.req
    const standing = standings.get(socket)
    if (standing === undefined) return
    standing.unanswered -= 1
    if (standing.isBroken && wholeOf(standing) <= 0) letGo(socket)
    if (standing.unanswered === 0 && standing.answer?.req.complete) standing.answer = undefined
  }
}

/** How many of the requests that are being answered came whole; what came in part has no other behind it. */
function wholeOf({ unanswered, answer }: Standing): number {
  return answer === undefined || answer.req.complete ? unanswered : unanswered - 1
}
