import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { decodeProtectedHeader, importPKCS8, SignJWT } from 'jose'
import { z } from 'zod'
import { createVerifier, type Verifier } from '../../src/client/verifier.ts'
import { LONGEST_TOKEN_LIFE_SECONDS } from '../../src/formats/formats.ts'
import { peer } from '../../src/formats/peer.ts'
import { privateKeyOfPeerSecret } from '../../src/keys/peer-secret.ts'
import { endless } from '../helpers/endless.ts'
import { buildWithVerifiers, eventually } from '../helpers/verifier.ts'

const JWKS = 'jwks.json'

async function setup(t: TestContext) {
  const service = await buildWithVerifiers(t)
  const { requests, mint, seams, follower } = service
  return { ...service, mintPeer, advance, fetches }

  function mintPeer() {
    return mint('/v1/peer/tokens', { groupId: 'g', peerId: 'p', ttlSeconds: LONGEST_TOKEN_LIFE_SECONDS })
  }

  /** Moves the clock, at no point further than the service may be behind. */
  async function advance(seconds: number) {
    for (let left = seconds; left > 0; left -= 1_800) {
      seams.advance(Math.min(left, 1_800) * 1000)
      await follower.refresh()
    }
  }

  function fetches(): number {
    return requests.filter(({ pathname }) => pathname.endsWith(JWKS)).length
  }
}

async function allows(verifier: Verifier, token: string): Promise<boolean> {
  return (await verifier.check(token)).allowed
}

/** A token that is signed by nobody whom Jeton knows. */
function stranger(kid: string): Promise<string> {
  return new SignJWT({}).setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.alloc(32))
}

describe('the public keys of a verifier', () => {
  it('are fetched for unknown kids once in 30 s at most, whatever strangers send', async (t) => {
    const { open, mintPeer, fetches, seams } = await setup(t)
    const verifier = open()
    await verifier.ready()
    const tokens = await Promise.all(Array.from({ length: 20 }, (_, index) => stranger(`kid-${index}`)))
    const send = async () => {
      for (const token of tokens) assert.equal(await allows(verifier, token), false)
      await Promise.all(tokens.map((token) => verifier.check(token)))
    }
    await send()
    assert.equal(fetches(), 1)
    seams.advance(29_999)
    await send()
    assert.equal(fetches(), 1)
    seams.advance(1)
    await send()
    assert.equal(fetches(), 2)
    assert.equal(await allows(verifier, await mintPeer()), true)
    assert.equal(fetches(), 2)
  })

  it('are asked for no more often while Jeton is away', async (t) => {
    const { open, fetches, seams, network } = await setup(t)
    const verifier = open()
    await verifier.ready()
    network.up = false
    seams.advance(30_000)
    for (let index = 0; index < 20; index += 1) {
      assert.equal(await allows(verifier, await stranger(`kid-${index}`)), false)
    }
    assert.equal(fetches(), 2)
  })

  it('include one that was imported a moment ago, and hold it to its format as the gate does', async (t) => {
    const { open, mintPeer, post, environments, environmentId, follower, seams } = await setup(t)
    const verifier = open()
    await verifier.ready()
    const secret = `sk_${'7f'.repeat(32)}`
    await environments.importSigningKey({ environmentId, kid: 'theirs', format: peer }, secret)
    await follower.refresh()
    seams.advance(30_000)
    const token = await mintPeer()
    assert.equal(decodeProtectedHeader(token).kid, 'theirs')
    assert.equal(await allows(verifier, token), true)

    const pem = String(privateKeyOfPeerSecret(secret).export({ format: 'pem', type: 'pkcs8' }))
    const now = Math.floor(seams.now() / 1000)
    const other = await new SignJWT({ fmt: 'client', sub: 'a', jti: 'b', client_id: 'kid_c' })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'theirs', typ: 'JWT' })
      .setIssuer(`https://jeton.example/environments/${environmentId}`)
      .setAudience(environmentId)
      .setIssuedAt(now)
      .setExpirationTime(now + 60)
      .sign(await importPKCS8(pem, 'EdDSA'))
    const answer = await verifier.check(other)
    assert.equal(!answer.allowed && answer.detail, 'This key signs peer tokens alone.')
    assert.deepEqual(answer, (await post('/v1/verify', { token: other })).json())
  })

  it('let a rotation go through unnoticed, from before it to after the old key is gone', async (t) => {
    const { open, mintPeer, advance, environmentId, signingKeyRotation, network } = await setup(t)
    const verifier = open({ offlineSeconds: 2_592_000 })
    const old = await mintPeer()
    assert.equal(await allows(verifier, old), true)
    const { key } = await signingKeyRotation.rotate(environmentId, 'EdDSA')
    let last = old
    let token = old
    for (let seconds = 0; decodeProtectedHeader(token).kid !== key.kid; seconds += 30) {
      assert.ok(seconds < 40_000)
      last = token
      await advance(30)
      token = await mintPeer()
      assert.equal(await allows(verifier, token), true, `after ${seconds} s`)
    }
    // What it knows by now is enough until the last token of the old key has ended.
    network.up = false
    await advance(LONGEST_TOKEN_LIFE_SECONDS - 60)
    assert.equal(await allows(verifier, last), true)
    assert.equal(await allows(verifier, old), false)
  })

  it('are used for as long as was told without the network, and then nobody is let in', async (t) => {
    const { open, mintPeer, seams, network, errors } = await setup(t)
    const verifier = open({ offlineSeconds: 1_000, secretKey: undefined })
    await verifier.ready()
    const token = await mintPeer()
    network.up = false
    seams.advance(1_000_000)
    assert.equal(await allows(verifier, token), true)
    seams.advance(1)
    await assert.rejects(verifier.check(token), { name: 'VerifierError', code: 'keys_stale' })
    await assert.rejects(verifier.ready(), { code: 'keys_stale' })
    // What needs no key is answered still.
    assert.equal(await allows(verifier, 'nonsense'), false)
    assert.deepEqual(errors, [])
  })

  it('are not needed for a token whose secret was handed in', async (t) => {
    const { open, mint, network, requests } = await setup(t)
    const token = await mint('/auth/token', { userId: 'alice', name: 'Alice' })
    network.up = false
    const unreached = open({ secretKey: undefined })
    assert.equal(await allows(unreached, token), true)
    await unreached.close()
    requests.length = 0
    const lone = open({ url: undefined, secretKey: undefined })
    await lone.ready()
    assert.equal(await allows(lone, token), true)
    assert.equal(await allows(lone, await stranger('nobody')), false)
    assert.deepEqual(requests, [])
  })

  it('are waited for by the first check, and fetched later when Jeton was not there at the start', async (t) => {
    const { open, mintPeer, network, errors } = await setup(t)
    const token = await mintPeer()
    assert.equal(await allows(open(), token), true)
    network.up = false
    const verifier = open({ secretKey: undefined })
    await assert.rejects(verifier.check(token), { code: 'keys_stale' })
    await assert.rejects(verifier.ready(), { code: 'keys_stale' })
    network.up = true
    await eventually(() => verifier.ready())
    assert.equal(await allows(verifier, token), true)
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['keys_unavailable'],
    )
  })

  it('are fetched in the background before a copy is as old as its max-age', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    for (const [cacheControl, age, seconds] of [
      ['public, max-age=300', undefined, 300],
      ['public, max-age=300', '200', 100],
      ['no-cache', undefined, 10],
      ['max-age=1', undefined, 10],
      [undefined, undefined, 300],
    ] as const) {
      let fetches = 0
      const verifier = createVerifier({
        environmentId: 'env_a',
        url: 'https://jeton.example/',
        offlineSeconds: 100_000,
        fetch: async (input) => {
          assert.equal(String(input), 'https://jeton.example/environments/env_a/.well-known/jwks.json')
          fetches += 1
          const headers = new Headers()
          if (cacheControl !== undefined) headers.set('cache-control', cacheControl)
          if (age !== undefined) headers.set('age', age)
          return new Response('{"keys":[]}', { headers })
        },
      })
      await verifier.ready()
      await settled()
      t.mock.timers.tick(seconds * 1000 - 1)
      await settled()
      assert.equal(fetches, 1, `${cacheControl} ${age}`)
      t.mock.timers.tick(1)
      await settled()
      assert.equal(fetches, 2, `${cacheControl} ${age}`)
      await verifier.close()
    }
  })

  it('are those that can be read, whatever stands beside them', async (t) => {
    const { open, mintPeer, options, errors } = await setup(t)
    const token = await mintPeer()
    const okp = { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', kid: 'x' }
    const others = [
      null,
      7,
      'key',
      [],
      {},
      { ...okp, x: 'A'.repeat(43), kid: undefined },
      { ...okp, x: 'A'.repeat(43), kid: 7 },
      okp,
      { ...okp, x: 'AAAA' },
      { ...okp, x: '!' },
      { ...okp, crv: 'X25519', x: 'A'.repeat(43) },
      { ...okp, kty: 'oct', k: 'A'.repeat(43) },
      { kty: 'EC', crv: 'P-256', alg: 'ES256', kid: 'x' },
      { kty: 'LMS', alg: 'HSS-LMS' },
    ]
    for (const other of others) {
      const verifier = open({
        secretKey: undefined,
        fetch: async (input, init) => {
          const answer = await options.fetch?.(input, init)
          const { keys } = z.object({ keys: z.array(z.unknown()) }).parse(await answer?.json())
          return Response.json({ keys: [other, ...keys, other] })
        },
      })
      assert.equal(await allows(verifier, token), true, JSON.stringify(other))
      await verifier.close()
    }
    assert.deepEqual(errors, [])
  })

  it('are not taken from an answer that has no end, of which little is read', async (t) => {
    const { open, errors } = await setup(t)
    const { taken, response } = endless()
    const verifier = open({ secretKey: undefined, fetch: async () => response })
    await assert.rejects(verifier.ready(), { code: 'keys_stale' })
    assert.match(String(errors[0]?.cause), /larger than 1048576 bytes/)
    assert.ok(taken.cancelled && taken.bytes < 2_000_000, String(taken.bytes))
  })

  it('are not taken from an answer that is no JWKS, and none that is there is lost by it', async (t) => {
    const { open, mintPeer, options, seams } = await setup(t)
    const answers = [
      () => new Response('<html>', { status: 200 }),
      () => new Response('{"keys":{}}'),
      () => new Response('{"keys":[null]}'),
      () => new Response('{"keys":[{"kty":"OKP","alg":"EdDSA","kid":"x"}]}'),
      () => new Response('{"keys":[]}', { status: 503 }),
      () => new Response(null, { status: 302, headers: { location: 'https://other.example' } }),
    ]
    let answer: (() => Response) | undefined
    const verifier = open({
      secretKey: undefined,
      offlineSeconds: 1_000,
      fetch: async (input, init) => answer?.() ?? (await options.fetch?.(input, init)) ?? new Response(),
    })
    await verifier.ready()
    const token = await mintPeer()
    for (const next of answers) {
      answer = next
      seams.advance(30_000)
      assert.equal(await allows(verifier, await stranger('nobody')), false)
      assert.equal(await allows(verifier, token), true)
    }
  })
})

/** Lets everything go on that waits for nothing but its turn. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve))
}
