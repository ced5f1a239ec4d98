import { z } from 'zod'

/** One of the servers under load. A restart gives it another URL. */
export interface Replica {
  readonly name: string
  url: string
}

/** One call of the load, with what came of it. Moments are unix milliseconds of this machine's clock. */
export interface Call {
  readonly what: 'mint' | 'verify' | 'change' | 'jwks'
  readonly replica: string
  /** Whose key asked for a token, or the name of the key that was to be made. */
  readonly by: string
  readonly subject: string
  readonly sentAt: number
  readonly answeredAt: number
  /** `undefined` when no answer came. */
  readonly status: number | undefined
  readonly answer: Answer
}

const answer = z.object({
  error: z.string().optional(),
  token: z.string().optional(),
  allowed: z.boolean().optional(),
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })).optional(),
})
export type Answer = z.output<typeof answer>

/** The secret key of somebody who asks for tokens, and for whom: a new subject each time, or always the same. */
export interface Client {
  readonly name: string
  readonly key: string
  readonly subject: 'new' | 'same'
}

interface LoadDeps {
  readonly replicas: readonly Replica[]
  /** The environment whose tokens are judged, whose JWKS is fetched and in which keys are made. */
  readonly environmentId: string
  readonly adminKey: string
  /** The secret key that asks the gate about tokens. */
  readonly gateKey: string
  /** Whose tokens the gate is asked about. */
  readonly judged: string
}

/** The client that asks with a key that always lives, so that its calls tell how time goes by. */
export const STEADY = 'steady'

/** How often each replica is called by every client, and by how much later than the one before it. */
const BEAT_MS = 200
/** A replica that answers nothing is not asked for more meanwhile. */
const MOST_WAITING = 50
const PATIENCE_MS = 10_000

/** A steady load over all replicas, whose every answer is kept. */
export function startLoad({ replicas, environmentId, adminKey, gateKey, judged }: LoadDeps) {
  const calls: Call[] = []
  const clients: Client[] = []
  const pending = new Set<Promise<void>>()
  const waiting = new Map<Replica, number>()
  let sent = 0
  let beats = 0
  let latest: string | undefined
  const timer = setInterval(beat, BEAT_MS / replicas.length)
  return { calls, add: (client: Client) => clients.push(client), stop }

  async function stop(): Promise<void> {
    clearInterval(timer)
    await Promise.all(pending)
  }

  function beat(): void {
    const replica = replicas[beats % replicas.length]
    const turn = Math.floor(beats / replicas.length)
    beats += 1
    if (replica === undefined || (waiting.get(replica) ?? 0) > MOST_WAITING) return
    for (const client of clients) send(replica, mintOf(client))
    if (latest !== undefined) send(replica, { what: 'verify', by: judged, body: { token: latest } })
    // One after the other, each of them with the next turn.
    if (turn % replicas.length === replicas.indexOf(replica)) {
      send(replica, { what: 'jwks', by: '' })
      const by = `key-${sent}`
      send(replica, { what: 'change', by, body: { kind: 'secret', name: by } })
    }
  }

  function mintOf({ name, key, subject }: Client): Order {
    const peerId = subject === 'same' ? name : `${name}-${sent}`
    return { what: 'mint', by: name, key, subject: peerId, body: { groupId: 'group', peerId } }
  }

  interface Order {
    readonly what: Call['what']
    readonly by: string
    readonly key?: string
    readonly subject?: string
    readonly body?: object
  }

  function send(replica: Replica, order: Order): void {
    sent += 1
    waiting.set(replica, (waiting.get(replica) ?? 0) + 1)
    const one = call(replica, order).finally(() => {
      pending.delete(one)
      waiting.set(replica, (waiting.get(replica) ?? 0) - 1)
    })
    pending.add(one)
  }

  async function call({ name, url }: Replica, { what, by, key, subject = '', body }: Order): Promise<void> {
    const sentAt = Date.now()
    const { status, found } = await fetchAnswer(`${url}${pathOf(what)}`, key ?? keyOf(what), body)
    calls.push({ what, replica: name, by, subject, sentAt, answeredAt: Date.now(), status, answer: found })
    if (by === judged && found.token !== undefined) latest = found.token
  }

  function pathOf(what: Call['what']): string {
    switch (what) {
      case 'mint':
        return '/v1/peer/tokens'
      case 'verify':
        return '/v1/verify'
      case 'change':
        return `/v1/environments/${environmentId}/keys`
      case 'jwks':
        return `/environments/${environmentId}/.well-known/jwks.json`
      default:
        return what satisfies never
    }
  }

  function keyOf(what: Call['what']): string {
    return what === 'change' ? adminKey : gateKey
  }
}

/** Sends it once, and waits for the whole answer. */
async function fetchAnswer(
  url: string,
  key: string,
  body: object | undefined,
): Promise<{ status: number | undefined; found: Answer }> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const sending = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) }
  try {
    const reply = await fetch(url, { ...sending, signal: AbortSignal.timeout(PATIENCE_MS) })
    return { status: reply.status, found: answer.parse(await reply.json()) }
  } catch (error) {
    if (error instanceof z.ZodError || error instanceof SyntaxError) throw error
    return { status: undefined, found: { error: String(error) } }
  }
}
