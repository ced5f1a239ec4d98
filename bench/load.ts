import { Agent, request } from 'node:http'

/** A request of a load: a POST with JSON. */
export interface Call {
  readonly path: string
  /** The text of a secret key. */
  readonly key: string
  readonly body: string
}

/** Who asks, and how hard. */
export interface Load {
  readonly url: string
  /** What the next request is. */
  readonly next: () => Call
  /** Whether an answer is as it must be. */
  readonly isRight: (status: number | undefined, body: string) => boolean
  readonly connections: number
  readonly seconds: number
}

/** What a load came to. */
export interface Answered {
  readonly count: number
  readonly seconds: number
}

/**
 * Asks over kept-alive connections, each with one request at a time.
 *
 * @throws Error at the first answer that is not right
 */
export async function askForAWhile({ url, next, isRight, connections, seconds }: Load): Promise<Answered> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const from = performance.now()
  const until = from + seconds * 1000
  let count = 0
  const client = async () => {
    while (performance.now() < until) {
      await ask(agent, url, next(), isRight)
      count += 1
    }
  }
  await Promise.all(Array.from({ length: connections }, client))
  const ended = performance.now()
  agent.destroy()
  return { count, seconds: (ended - from) / 1000 }
}

async function ask(
  agent: Agent,
  url: string,
  { path, key, body }: Call,
  isRight: Load['isRight'],
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    request(`${url}${path}`, { agent, method: 'POST', headers }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject)
      reply.once('end', () => {
        const answer = Buffer.concat(chunks).toString()
        if (isRight(reply.statusCode, answer)) resolve()
        else reject(new Error(`Not what was wanted: ${reply.statusCode} ${answer}`))
      })
    })
      .once('error', reject)
      .end(body)
  })
}
