import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { z } from 'zod'
import { JWKS_MAX_AGE_SECONDS, LEEWAY_SECONDS } from '../../src/domain/signing-period.ts'
import { LONGEST_TOKEN_LIFE_SECONDS } from '../../src/formats/formats.ts'
import { build } from '../helpers/app.ts'
import { inFull } from '../helpers/scale.ts'

const STALE_KEYS_SECONDS = 30
const LEAD_SECONDS = JWKS_MAX_AGE_SECONDS + STALE_KEYS_SECONDS + LEEWAY_SECONDS

type Verify = (token: string) => Promise<unknown>

/** Fetches the JWKS when its copy is as old as `max-age` says, and never because of a `kid` that it does not know. */
function verifierByMaxAge(url: URL): Verify {
  let copy = { keys: createLocalJWKSet({ keys: [] }), until: 0 }
  return async (token) => {
    if (Date.now() >= copy.until) copy = await fetchCopy()
    return await jwtVerify(token, copy.keys)
  }

  async function fetchCopy() {
    const askedAt = Date.now()
    const reply = await fetch(url)
    const maxAge = /max-age=(\d+)/.exec(reply.headers.get('cache-control') ?? '')?.[1]
    const { keys } = z.object({ keys: z.array(z.record(z.string(), z.string())) }).parse(await reply.json())
    return {
      keys: createLocalJWKSet({ keys: keys.map((key) => ({ ...key, kty: key.kty ?? '' })) }),
      until: askedAt + Number(maxAge) * 1000,
    }
  }
}

/** A listening server, the two verifiers beside it, and one clock for all of them. */
async function setup(t: TestContext) {
  const service = await build(t, {
    STALE_KEYS_SECONDS: `${STALE_KEYS_SECONDS}`,
    RATE_LIMIT_KEY: '1000000/1m',
    LOG_LEVEL: 'warn',
  })
  const { server, seams, follower, made } = service
  // jose reads Date, for the age of its copy as for `exp`.
  t.mock.timers.enable({ apis: ['Date'], now: seams.now() })
  const base = await server.listen({ port: 0, host: '127.0.0.1' })
  const url = new URL(`${base}/environments/${made.environment.id}/.well-known/jwks.json`)
  const remote = createRemoteJWKSet(url)
  const newVerifier = () => verifierByMaxAge(url)
  const verifiers: Verify[] = [(token) => jwtVerify(token, remote), newVerifier()]
  let minted = 0

  /** Moves every clock, at no point further than the keyring may be behind. */
  async function advance(seconds: number) {
    for (let left = seconds; left > 0; left -= STALE_KEYS_SECONDS / 2) {
      seams.advance(Math.min(left, STALE_KEYS_SECONDS / 2) * 1000)
      t.mock.timers.setTime(seams.now())
      await follower.refresh()
    }
  }

  async function mint(ttlSeconds: number): Promise<string> {
    minted += 1
    const reply = await fetch(`${base}/v1/peer/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${made.secretKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ groupId: 'g', peerId: `p${minted}`, ttlSeconds }),
    })
    assert.equal(reply.status, 200)
    return z.object({ token: z.string() }).parse(await reply.json()).token
  }

  return { ...service, url, verifiers, newVerifier, advance, mint }
}

/** Mints and verifies without a pause until it is stopped; what fails although its token lives is kept. */
function load({ verifiers, mint }: Pick<Awaited<ReturnType<typeof setup>>, 'verifiers' | 'mint'>) {
  const failures: string[] = []
  const kids = new Set<string>()
  const held: string[] = []
  let rounds = 0
  let stopped = false
  const progress = new EventEmitter()
  const workers = [60, 3_600, LONGEST_TOKEN_LIFE_SECONDS].map(async (ttlSeconds) => {
    while (!stopped) {
      const token = await mint(ttlSeconds)
      kids.add(decodeProtectedHeader(token).kid ?? '')
      await verify(token)
      rounds += 1
      progress.emit('round')
    }
  })
  return { failures, kids, hold, verifyHeld, atLeast, stop }

  async function verify(token: string, by: readonly Verify[] = verifiers) {
    for (const [index, check] of by.entries()) {
      await check(token).catch((error: Error) => {
        // The clock moves meanwhile: a token that has ended by now is refused rightly.
        const { exp = 0, iat } = decodeJwt(token)
        if (exp * 1000 > Date.now()) failures.push(`verifier ${index}: ${error.message}, minted at ${iat}`)
      })
    }
  }

  /** Keeps a token that lives as long as one can. */
  async function hold() {
    held.push(await mint(LONGEST_TOKEN_LIFE_SECONDS))
  }

  /** Every token that was kept and still lives. */
  async function verifyHeld(by = verifiers) {
    for (const token of held) if ((decodeJwt(token).exp ?? 0) * 1000 > Date.now()) await verify(token, by)
  }

  /** Waits until so many more were minted and verified. */
  async function atLeast(more: number) {
    const goal = rounds + more
    const failed = Promise.all(workers)
    while (rounds < goal) await Promise.race([once(progress, 'round'), failed])
  }

  async function stop() {
    stopped = true
    await Promise.all(workers)
    return rounds
  }
}

/** How far the clock moves at once while a key comes or goes, and in its very last moments. */
const STEP_SECONDS = inFull(5, 15)
const LAST_STEP_SECONDS = inFull(2, 6)
/** And while nothing comes or goes. */
const LONG_STEP_SECONDS = inFull(600, 3_600)

describe('a rotation under load', () => {
  it('is noticed by no verifier, from before it to after the old key is gone', {
    timeout: 120_000,
  }, async (t) => {
    const service = await setup(t)
    const { advance, signingKeyRotation, made, url, verifiers, newVerifier } = service
    const published = async () => {
      const { keys } = z
        .object({ keys: z.array(z.object({ kid: z.string() })) })
        .parse(await (await fetch(url)).json())
      return keys.map(({ kid }) => kid)
    }
    const [old] = await published()
    const running = load(service)
    const go = async (seconds: number, step: number) => {
      for (let left = seconds; left > 0; left -= step) {
        await advance(Math.min(left, step))
        await running.atLeast(3)
      }
    }

    await running.atLeast(3)
    await go(130, STEP_SECONDS)
    await running.hold()
    // One that fetched at the worst of all moments.
    verifiers.push(newVerifier())
    await running.verifyHeld()
    const { key } = await signingKeyRotation.rotate(made.environment.id, 'EdDSA')
    await go(LEAD_SECONDS - 5, STEP_SECONDS)
    // The old key's last moments, in which it signs tokens that live as long as one can.
    await running.hold()
    await running.atLeast(20)
    assert.deepEqual([...running.kids], [old])
    await go(2 * JWKS_MAX_AGE_SECONDS, STEP_SECONDS)
    await running.hold()
    assert.deepEqual([...running.kids], [old, key.kid])
    for (
      let left = LONGEST_TOKEN_LIFE_SECONDS - 2 * JWKS_MAX_AGE_SECONDS - 60;
      left > 0;
      left -= LONG_STEP_SECONDS
    ) {
      await go(Math.min(left, LONG_STEP_SECONDS), LONG_STEP_SECONDS)
      await running.verifyHeld()
    }
    for (let left = 120; left > 0; left -= LAST_STEP_SECONDS) {
      await go(LAST_STEP_SECONDS, LAST_STEP_SECONDS)
      await running.verifyHeld([...verifiers, newVerifier()])
    }
    const rounds = await running.stop()

    assert.deepEqual(running.failures, [])
    assert.deepEqual(await published(), [key.kid])
    assert.ok(rounds > inFull(1_000, 300), `${rounds} tokens`)
  })
})
