import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** What is known of the open connections of a server. */
export interface Connections {
  /** Whether a request that came over this connection is still being answered. Asked by the one who found it broken. */
  isAnswering(socket: Socket): boolean
  /** Whether what followed an answered request on this connection could not be read. */
  isBroken(socket: Socket): boolean
  destroyAll(): void
}

interface Standing {
  isAnswering: boolean
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
  app.addHook('onRequest', ({ socket }, _reply, done) => {
    const standing = standings.get(socket)
    if (standing === undefined) standings.set(socket, { isAnswering: true, isBroken: false })
    else standing.isAnswering = true
    done()
  })
  app.addHook('onResponse', ({ socket }, _reply, done) => {
    const standing = standings.get(socket)
    if (standing !== undefined) standing.isAnswering = false
    done()
  })

  return {
    isAnswering(socket) {
      const standing = standings.get(socket)
      if (standing === undefined || !standing.isAnswering) return false
      standing.isBroken = true
      return true
    },
    isBroken: (socket) => standings.get(socket)?.isBroken ?? false,
    destroyAll() {
      for (const socket of open) socket.destroy()
    },
  }
}
