import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/**
 * A way to a server on loopback that breaks where a test wants it to: once `cut` has seen what a client sends, that still
 * arrives, and the server's answer to it does not.
 */
export async function brokenWay(
  t: TestContext,
  url: string,
  cut: (sent: string) => boolean,
  host = '127.0.0.1',
): Promise<string> {
  const there = new URL(url)
  const sockets = new Set<Socket>()
  const way = createServer((client) => {
    const server = connect(Number(there.port), there.hostname)
    let isCut = false
    client.on('data', (chunk) => {
      isCut ||= cut(chunk.toString('latin1'))
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (isCut) client.destroy()
      else client.write(chunk)
    })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => undefined)
      one.on('close', () => other.destroy())
    }
  })
  way.listen(0, host)
  await once(way, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    way.close()
  })
  const address = way.address()
  if (address === null || typeof address === 'string') throw new Error('No port was given')
  return Object.assign(new URL(url), { hostname: host, port: address.port }).href
}
