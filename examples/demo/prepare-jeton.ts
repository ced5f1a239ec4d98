import { z } from 'zod'
import { CHANNEL } from '../backend/token-routes.ts'

const madeEnvironment = z.object({ environment: z.object({ id: z.string() }) })
const madeKey = z.object({ secretKey: z.string() })

/** What the two programs need. Each secret key can do what its program does, and nothing more. */
export interface Prepared {
  readonly environmentId: string
  /** For the backend. */
  readonly mintKey: string
  /** For the realtime server: whoever breaks in there can judge tokens, and mint none. */
  readonly verifyKey: string
}

/** Makes an environment for the demo, whose tokens a realtime server can judge with a public key alone. */
export async function prepareJeton(url: string, adminKey: string): Promise<Prepared> {
  const { environment } = madeEnvironment.parse(
    await call('/v1/environments', { name: 'Demo', tag: 'demo', signingAlgorithm: 'EdDSA' }),
  )
  const mintKey = await makeKey('Backend', {
    uses: ['mint', 'revoke'],
    formats: ['user', 'channels', 'peer'],
    channels: [CHANNEL],
    permissions: ['publish', 'subscribe', 'presence', 'send'],
    policies: [{ groupId: CHANNEL, peerId: '*' }],
    maxTtlSeconds: 3_600,
  })
  const verifyKey = await makeKey('Realtime server', { uses: ['verify'] })
  return { environmentId: environment.id, mintKey, verifyKey }

  async function makeKey(name: string, grant: object): Promise<string> {
    const path = `/v1/environments/${environment.id}/keys`
    return madeKey.parse(await call(path, { kind: 'secret', name, grant })).secretKey
  }

  async function call(path: string, body: object): Promise<unknown> {
    const reply = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { Authorization: `Bearer ${adminKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (reply.ok) return await reply.json()
    throw new Error(`Jeton answered ${reply.status} to ${path}: ${await reply.text()}`)
  }
}
