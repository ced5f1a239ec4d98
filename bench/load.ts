import { Agent, request } from 'node:http'

/** Who asks, and how hard. */
export interface Load {
  readonly url: string
  /** Texts of secret keys, of which each request takes one at random. */
  readonly keys: readonly string[]
  readonly connections: number
  readonly seconds: number
}

let subjects = 0

/** What a load came to. */
export interface Minted {
  readonly tokens: number
  readonly seconds: number
}

/**
 * Mints user tokens over kept-alive connections, each with one request at a time.
 *
 * @throws Error at the first answer that is no token
 */
export async function mintForAWhile({ url, keys, connections, seconds }: Load): Promise<Minted> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const from = performance.now()
  const until = from + seconds * 1000
  let tokens = 0
  const client = async () => {
    while (performance.now() < until) {
      await mint(agent, url, keys[Math.floor(Math.random() * keys.length)] ?? '')
      tokens += 1
    }
  }
  await Promise.all(Array.from({ length: connections }, client))
  const ended = performance.now()
  agent.destroy()
  return { tokens, seconds: (ended - from) / 1000 }
}

async function mint(agent: Agent, url: string, key: string): Promise<void> {
  // Each token is for somebody else, so that no limit but the key's is in the way.
  subjects += 1
  const body = JSON.stringify({ userId: `user-${subjects}`, name: 'Alice' })
  await new Promise<void>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    request(`${url}/auth/token`, { agent, method: 'POST', headers }, (reply) => {
      reply.resume().once('error', reject)
      reply.once('end', () =>
        reply.statusCode === 200 ? resolve() : reject(new Error(`Not minted: ${reply.statusCode}`)),
      )
    })
      .once('error', reject)
      .end(body)
  })
}
