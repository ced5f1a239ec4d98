import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** What is known of the open connections of a server. */
export interface Connections {
  /**
   * What a connection that can be read no further is still good for. `busy`: a request that came whole is being answered,
   * and what is wrong is behind it. `used`: a request that did not come whole has its answer, or the beginning of one.
   * `free`: there is room for an answer.
   */
  breakOff(socket: Socket): 'busy' | 'used' | 'free'
  /** Whether what followed an answered request on this connection could not be read. */
  isBroken(socket: Socket): boolean
  destroyAll(): void
}

interface Standing {
  /** How many requests are being answered: several when they came one behind another. */
  unanswered: number
  /** Of the last request that came. Nothing once both are whole, which would take the room of it as long as nothing comes. */
  answer: ServerResponse | undefined
  isBroken: boolean
}

export function followConnections(app: FastifyInstance): Connections {
  const open = new Set<Socket>()
  // One look-up a request: to add to and take from a weak set each time gives the collector work. Over TLS these are other
  // sockets than those that are open.
  const standings = new WeakMap<Socket, Standing>()

  app.server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  app.addHook('onRequest', ({ socket }, { raw: answer }, done) => {
    const standing = standings.get(socket)
    if (standing === undefined) standings.set(socket, { unanswered: 1, answer, isBroken: false })
    else {
      standing.unanswered += 1
      standing.answer = answer
    }
    done()
  })
  app.addHook('onResponse', ({ socket }, _reply, done) => {
    const standing = standings.get(socket)
    if (standing !== undefined) {
      standing.unanswered -= 1
      if (standing.unanswered === 0 && standing.answer?.req.complete) standing.answer = undefined
    }
    done()
  })

  return {
    breakOff(socket) {
      const standing = standings.get(socket)
      if (standing === undefined) return 'free'
      standing.isBroken = true
      const { unanswered, answer } = standing
      if (answer === undefined) return 'free'
      if (answer.req.complete) return unanswered > 0 ? 'busy' : 'free'
      if (unanswered > 1) return 'busy'
      return answer.headersSent ? 'used' : 'free'
    },
    isBroken: (socket) => standings.get(socket)?.isBroken ?? false,
    destroyAll() {
      for (const socket of open) socket.destroy()
    },
  }
}
