import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

interface Ending {
  after(end: () => Promise<void>): void
}

/** A server that is no Redis of today: it answers as it is told each command's first word, or '' for what is none. */
export async function answering(t: Ending, answer: (word: string) => string): Promise<string> {
  return await listen(t, (socket) => {
    socket.on('data', (chunk) => {
      // Each command is an array of texts with their lengths before them.
      const words = [...String(chunk).matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)].map(([, word = '']) => word)
      for (const word of words.length === 0 ? [''] : words) socket.write(answer(word.toUpperCase()))
    })
  })
}

/** What stands between a process and a Redis, and can hold back the answers. */
export interface SlowWay {
  readonly url: string
  /** From now on every answer comes so much later. */
  delay(ms: number): void
}

/** A way to the Redis of `url` that may be slow. */
export async function slowWay(t: Ending, url: string): Promise<SlowWay> {
  const { hostname, port } = new URL(url)
  let delayMs = 0
  const way = await listen(t, (socket) => {
    const beyond = connect(Number(port), hostname)
    socket.pipe(beyond)
    beyond.on('data', (chunk) => setTimeout(() => socket.write(chunk), delayMs))
    beyond.on('error', () => socket.destroy())
    beyond.on('close', () => socket.destroy())
    socket.on('close', () => beyond.destroy())
  })
  return {
    url: way,
    delay(ms) {
      delayMs = ms
    },
  }
}

async function listen(t: Ending, serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('A socket of TCP has a port')
  return `redis://127.0.0.1:${address.port}`
}
