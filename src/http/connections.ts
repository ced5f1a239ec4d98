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

export function followConnections(app: FastifyInstance): Connections {
  const open = new Set<Socket>()
  const answering = new WeakSet<Socket>()
  const broken = new WeakSet<Socket>()

  app.server.on('connection', (socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  app.addHook('onRequest', (request, _reply, done) => {
    answering.add(request.socket)
    done()
  })
  app.addHook('onResponse', (request, _reply, done) => {
    answering.delete(request.socket)
    done()
  })

  return {
    isAnswering(socket) {
      if (!answering.has(socket)) return false
      broken.add(socket)
      return true
    },
    isBroken: (socket) => broken.has(socket),
    destroyAll() {
      for (const socket of open) socket.destroy()
    },
  }
}
