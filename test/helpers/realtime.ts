import type { TestContext } from 'node:test'
import {
  SignallingClient,
  type SignallingClientEventMap,
  type SignallingClientOptions,
} from '@metered-ca/realtime'
import { WebSocket } from 'ws'
import { createGateJudge } from '../../examples/realtime-server/judge-by-gate.ts'
import { createVerifierJudge } from '../../examples/realtime-server/judge-by-verifier.ts'
import { startRealtimeServer } from '../../examples/realtime-server/server.ts'
import type { NewEnvironment } from '../../src/keys/new-environment.ts'
import { build, type TestService } from './app.ts'

/** The example server, judging by a Jeton on a driven clock. Both listen on loopback. */
export interface Realtime {
  readonly service: TestService
  /** Where clients connect. */
  readonly url: string
  /** What the example server logged. */
  readonly log: readonly { readonly event: string; readonly [about: string]: unknown }[]
  /** Mints a channels token for this peer: all permissions on `room-*` unless told otherwise. */
  mint(peerId: string, request?: object): Promise<string>
}

/** How the example server judges. */
export const JUDGES = ['gate', 'verifier'] as const

/** Starts both. The environment signs with EdDSA, and the example server holds a key that can only verify. */
export async function startRealtime(t: TestContext, by: (typeof JUDGES)[number]): Promise<Realtime> {
  // Hooks run in the order in which they were set, and Jeton would wait for whoever reads its feed.
  const ends: (() => Promise<void>)[] = []
  t.after(() => Promise.all(ends.map((end) => end())))
  const service = await build(t)
  const { server, environments, follower, made, seams } = service
  await environments.update(made.environment.id, { signingAlgorithm: 'EdDSA' })
  const { authorization } = await service.keyWith({ uses: ['verify'] })
  await follower.refresh()
  const jetonUrl = await server.listen({ host: '127.0.0.1', port: 0 })
  const lines: { event: string }[] = []
  const log = (event: string, about: object) => lines.push({ event, ...about })
  const options = { jetonUrl, verifyKey: authorization.replace('Bearer ', ''), lookAtKeysEveryMs: 100 }
  const environmentId = made.environment.id
  const judge =
    by === 'gate'
      ? createGateJudge(options)
      : createVerifierJudge({ ...options, environmentId, now: seams.now, log })
  const { url, close } = await startRealtimeServer({
    judge,
    host: '127.0.0.1',
    port: 0,
    now: seams.now,
    log,
  })
  ends.push(close)
  return { service, url, log: lines, mint: (peerId, request) => mintChannels(service, made, peerId, request) }
}

/** Mints a channels token of an environment. */
export async function mintChannels(
  { post }: TestService,
  { secretKey }: Pick<NewEnvironment, 'secretKey'>,
  peerId: string,
  request: object = {},
): Promise<string> {
  const permissions = ['publish', 'subscribe', 'presence', 'send']
  const body = { peerId, channels: ['room-*'], permissions, ...request }
  const reply = await post('/v1/tokens', body, { authorization: `Bearer ${secretKey}` })
  if (reply.statusCode !== 200) throw new Error(reply.body)
  return String(reply.json().token)
}

type Event = keyof SignallingClientEventMap

/** The real client, with everything that it reports. */
export interface Heard {
  readonly client: SignallingClient
  heard<Name extends Event>(name: Name): readonly SignallingClientEventMap[Name][]
}

/** The client with these options, over a WebSocket that sends this origin, as a browser would. */
export function hearClient(t: TestContext, options: SignallingClientOptions, origin?: string): Heard {
  const headers = origin === undefined ? {} : { origin }
  const client = new SignallingClient({
    reconnect: { initialDelayMs: 10, jitterRatio: 0 },
    webSocketFactory: (url) => new WebSocket(url, { headers }),
    ...options,
  })
  t.after(() => client.close())
  const events: { [Name in Event]: SignallingClientEventMap[Name][] } = {
    connected: [],
    disconnected: [],
    'state-change': [],
    message: [],
    direct: [],
    presence: [],
    'server-error': [],
    'going-away': [],
    'token-provider-error': [],
  }
  follow('connected')
  follow('disconnected')
  follow('message')
  follow('direct')
  follow('presence')
  follow('server-error')
  return { client, heard: (name) => events[name] }

  function follow<Name extends Event>(name: Name): void {
    client.on(name, (payload) => events[name].push(payload))
  }
}
