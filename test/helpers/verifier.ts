import type { TestContext } from 'node:test'
import { z } from 'zod'
import {
  createVerifier,
  type Verifier,
  type VerifierError,
  type VerifierOptions,
} from '../../src/client/verifier.ts'
import { channels } from '../../src/formats/channels.ts'
import { user } from '../../src/formats/user.ts'
import { ADMIN } from './admin.ts'
import { build } from './app.ts'

/** Secrets that stand for those of an environment: imported, so that a test can sign with them as well. */
export const SECRETS = {
  'their-user-key': { format: user, text: 'the-secret-that-signs-user-tokens' },
  'their-channels-key': { format: channels, text: 'the-secret-that-signs-channels-tokens' },
} as const

/**
 * A listening service, and verifiers of its environment on the same clock. Every request of a verifier is counted and
 * can be cut off.
 */
export async function buildWithVerifiers(t: TestContext) {
  const verifiers: Verifier[] = []
  // Before the service: it waits for those who poll it.
  t.after(() => Promise.all(verifiers.map((verifier) => verifier.close())))
  const service = await build(t, { RATE_LIMIT_SUBJECT: '1000/1m', ADMIN_KEY: ADMIN })
  const { server, environments, follower, made, seams, post } = service
  const environmentId = made.environment.id
  for (const [kid, { format, text }] of Object.entries(SECRETS)) {
    await environments.importSigningKey({ environmentId, kid, format }, text)
  }
  await follower.refresh()
  const url = await server.listen({ port: 0, host: '127.0.0.1' })
  const { authorization } = await service.keyWith({ uses: ['verify'] })
  const secretKey = authorization.slice('Bearer '.length)
  const requests: URL[] = []
  const errors: VerifierError[] = []
  const network = { up: true, inFlight: 0 }
  const options: VerifierOptions = {
    environmentId,
    url,
    secretKey,
    secrets: Object.entries(SECRETS).map(([kid, { format, text }]) => secretJwk(kid, text, format.name)),
    now: seams.now,
    monotonic: seams.monotonic,
    onError: (error) => errors.push(error),
    fetch: async (input, init) => {
      requests.push(new URL(String(input)))
      if (!network.up) throw new TypeError('fetch failed')
      network.inFlight += 1
      try {
        return await fetch(input, init)
      } finally {
        network.inFlight -= 1
      }
    },
  }
  return { ...service, url, environmentId, secretKey, requests, errors, network, options, open, mint, revoke }

  function open(more: Partial<VerifierOptions> = {}): Verifier {
    const verifier = createVerifier({ ...options, ...more })
    verifiers.push(verifier)
    return verifier
  }

  async function mint(path: string, body: object): Promise<string> {
    const reply = await post(path, body)
    return z.object({ token: z.string() }).parse(reply.json()).token
  }

  async function revoke(about: object): Promise<void> {
    const reply = await post('/v1/revocations', about)
    z.object({ version: z.int() }).parse(reply.json())
  }
}

/** A secret as the command line hands it out. */
export function secretJwk(kid: string, text: string, fmt?: string) {
  return { kty: 'oct', alg: 'HS256', kid, k: Buffer.from(text).toString('base64url'), fmt } as const
}

/** Tries again until it holds, or until so many milliseconds of real time are over. */
export async function eventually(holds: () => Promise<void> | void, withinMs = 10_000): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    try {
      return await holds()
    } catch (error) {
      if (performance.now() > until) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
