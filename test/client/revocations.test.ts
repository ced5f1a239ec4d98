import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { decodeJwt } from 'jose'
import type { Verifier } from '../../src/client/verifier.ts'
import { endless } from '../helpers/endless.ts'
import { buildWithVerifiers, eventually, secretJwk } from '../helpers/verifier.ts'

const FEED = '/v1/revocations'

async function setup(t: TestContext) {
  const service = await buildWithVerifiers(t)
  const { requests, mint } = service
  return { ...service, mintFor, polls }

  function mintFor(userId: string) {
    return mint('/auth/token', { userId, name: 'Alice' })
  }

  function polls(): URL[] {
    return requests.filter(({ pathname }) => pathname === FEED)
  }
}

/** A feed that answers what it is told to, and holds back an answer while it has none. */
function scriptedFeed() {
  const answers: (() => Response)[] = []
  const asked: { since: string | null; wait: string | null; etag: string | null }[] = []
  const fetchFeed: typeof fetch = async (input, init) => {
    const url = new URL(String(input))
    if (url.pathname !== FEED) return new Response('{"keys":[]}')
    asked.push({
      since: url.searchParams.get('since'),
      wait: url.searchParams.get('wait'),
      etag: new Headers(init?.headers).get('if-none-match'),
    })
    const answer = answers.shift()
    if (answer !== undefined) return answer()
    await once(init?.signal ?? new AbortController().signal, 'abort')
    throw new DOMException('aborted', 'AbortError')
  }
  return { answers, asked, fetch: fetchFeed }
}

async function allows(verifier: Verifier, token: string): Promise<boolean> {
  return (await verifier.check(token)).allowed
}

describe('the revocations of a verifier', () => {
  it('hold within a second of being made', async (t) => {
    const { open, mintFor, revoke } = await setup(t)
    const verifier = open()
    for (let round = 0; round < 5; round += 1) {
      const token = await mintFor(`user-${round}`)
      assert.equal(await allows(verifier, token), true)
      await revoke({ jti: decodeJwt(token).jti })
      await eventually(async () => assert.equal(await allows(verifier, token), false), 1_000)
    }
  })

  it('are there before the first answer, those of long before too', async (t) => {
    const { open, mintFor, revoke } = await setup(t)
    const token = await mintFor('alice')
    await revoke({ subject: 'alice' })
    assert.equal(await allows(open(), token), false)
    assert.equal(await allows(open({ secretKey: undefined }), token), true)
  })

  it('are waited for, and not asked for again and again', async (t) => {
    const { open, mintFor, polls } = await setup(t)
    const verifier = open()
    await verifier.ready()
    await eventually(() => assert.equal(polls().length, 2))
    assert.deepEqual(
      polls().map(({ search }) => search),
      ['?since=0&wait=0', '?since=0&wait=25'],
    )
    for (let round = 0; round < 20; round += 1) await verifier.check(await mintFor('alice'))
    assert.equal(polls().length, 2)
  })

  it('are caught up with after the network was away, and the outage is told once', async (t) => {
    const { open, mintFor, revoke, network, errors, server } = await setup(t)
    const verifier = open()
    const token = await mintFor('alice')
    assert.equal(await allows(verifier, token), true)
    network.up = false
    server.server.closeAllConnections()
    await eventually(() =>
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['revocations_unavailable'],
      ),
    )
    await revoke({ subject: 'alice' })
    assert.equal(await allows(verifier, token), true)
    network.up = true
    await eventually(async () => assert.equal(await allows(verifier, token), false))
    assert.equal(errors.length, 1)
  })

  it('that may be missing for longer than was told let nobody in', async (t) => {
    const { open, mintFor, network, seams, server, errors } = await setup(t)
    const verifier = open({ offlineSeconds: 60 })
    const token = await mintFor('alice')
    await verifier.ready()
    network.up = false
    server.server.closeAllConnections()
    await eventually(() => assert.equal(errors.length, 1))
    seams.advance(60_000)
    assert.equal(await allows(verifier, token), true)
    seams.advance(1)
    await assert.rejects(verifier.check(token), { name: 'VerifierError', code: 'revocations_stale' })
    await assert.rejects(verifier.ready())
    // What is refused anyway is refused.
    assert.equal(await allows(verifier, 'nonsense'), false)
    assert.equal(await allows(verifier, `${token.slice(0, -4)}AAAA`), false)
    network.up = true
    await eventually(async () => assert.equal(await allows(verifier, token), true))
  })

  it('are refused once for a key that may not read them, and nobody is let in', async (t) => {
    const { open, mintFor, keyWith, environments, follower, errors } = await setup(t)
    const token = await mintFor('alice')
    const other = await environments.create('Other')
    await follower.refresh()
    const keys = {
      'of another environment': [other.secretKey, /another environment/],
      'that may not verify': [(await keyWith({ uses: ['mint'] })).authorization.slice(7), / 403 /],
      'that is unknown': [`${other.secretKey.slice(0, -1)}_`, / 401 /],
    } as const
    for (const [name, [secretKey, message]] of Object.entries(keys)) {
      errors.length = 0
      const verifier = open({ secretKey })
      await assert.rejects(verifier.check(token), { code: 'revocations_stale' }, name)
      await assert.rejects(verifier.ready(), { code: 'revocations_stale' }, name)
      assert.deepEqual(
        errors.map(({ code }) => code),
        ['revocations_refused'],
        name,
      )
      assert.match(String(errors[0]?.message), message)
      assert.equal(
        JSON.stringify(errors).includes(secretKey) || String(errors[0]?.stack).includes(secretKey),
        false,
      )
      await verifier.close()
    }
  })

  it('only ever add to each other, whichever process of Jeton answers', async (t) => {
    const { open, mintFor, environmentId } = await setup(t)
    const [alice, bob] = [await mintFor('alice'), await mintFor('bob')]
    const feed = scriptedFeed()
    const before = Math.floor(Number(decodeJwt(alice).iat))
    const answer = (version: number, subjects: readonly string[], snapshot: boolean) => () => {
      const entries = subjects.map((subject) => ({ subject, before, until: before + 1_000_000 }))
      const body = JSON.stringify({ environmentId, version, snapshot, entries })
      return new Response(body, { headers: { etag: `W/"${version}"` } })
    }
    // The second process does not know of the newest one yet.
    feed.answers.push(answer(7, ['alice'], true), answer(5, [], true), answer(8, ['bob'], false))
    feed.answers.push(() => new Response(null, { status: 304 }))
    const verifier = open({ fetch: feed.fetch })
    await eventually(() => assert.equal(feed.asked.length, 5))
    assert.deepEqual([await allows(verifier, alice), await allows(verifier, bob)], [false, false])
    assert.deepEqual(feed.asked, [
      { since: '0', wait: '0', etag: null },
      { since: '7', wait: '25', etag: 'W/"7"' },
      { since: '5', wait: '25', etag: 'W/"5"' },
      { since: '8', wait: '25', etag: 'W/"8"' },
      { since: '8', wait: '25', etag: 'W/"8"' },
    ])
  })

  it('are read by a key that was refused at first, since not every process knew of it yet', async (t) => {
    const { open, mintFor, environmentId } = await setup(t)
    const token = await mintFor('alice')
    const feed = scriptedFeed()
    const none = { environmentId, version: 0, snapshot: true, entries: [] }
    feed.answers.push(
      () => new Response(null, { status: 401 }),
      () => Response.json(none),
    )
    const verifier = open({ fetch: feed.fetch })
    await assert.rejects(verifier.check(token), { code: 'revocations_stale' })
    await eventually(async () => assert.equal(await allows(verifier, token), true))
  })

  it('are not known after an answer that there is nothing new, when there was none before', async (t) => {
    const { open, mintFor, environmentId } = await setup(t)
    const token = await mintFor('alice')
    const feed = scriptedFeed()
    const codes: string[] = []
    feed.answers.push(() => new Response(null, { status: 304 }))
    const verifier = open({ fetch: feed.fetch, onError: ({ code }) => codes.push(code) })
    await assert.rejects(verifier.ready(), { code: 'revocations_stale' })
    await assert.rejects(verifier.check(token), { code: 'revocations_stale' })
    assert.deepEqual(codes, ['revocations_unavailable'])
    const entries = [{ jti: decodeJwt(token).jti, until: 9e9 }]
    feed.answers.push(() => Response.json({ environmentId, version: 1, snapshot: true, entries }))
    await eventually(async () => assert.equal(await allows(verifier, token), false))
  })

  it('are not taken from an answer that has no end, of which little is read', async (t) => {
    const { open } = await setup(t)
    const feed = scriptedFeed()
    const { taken, response } = endless()
    const errors: Error[] = []
    feed.answers.push(() => response)
    const verifier = open({ fetch: feed.fetch, onError: (error) => errors.push(error) })
    await assert.rejects(verifier.ready(), { code: 'revocations_stale' })
    assert.match(String(errors[0]?.cause), /larger than 33554432 bytes/)
    assert.ok(taken.cancelled && taken.bytes < 34_000_000, String(taken.bytes))
  })

  it('are kept when the feed answers what is none', async (t) => {
    const { open, mintFor, environmentId } = await setup(t)
    const token = await mintFor('alice')
    const good = {
      environmentId,
      version: 1,
      snapshot: true,
      entries: [{ jti: decodeJwt(token).jti, until: 9e9 }],
    }
    const bodies = ['<html>', '{}', '{"version":1}', JSON.stringify({ ...good, entries: [{ jti: 7 }] })]
    for (const body of bodies) {
      const feed = scriptedFeed()
      const codes: string[] = []
      feed.answers.push(
        () => Response.json(good),
        () => new Response(body),
      )
      const verifier = open({ fetch: feed.fetch, onError: ({ code }) => codes.push(code) })
      await eventually(() => assert.deepEqual(codes, ['revocations_unavailable']))
      assert.equal(await allows(verifier, token), false)
      await verifier.close()
    }
  })
})

describe('a verifier that is closed', () => {
  it('asks for nothing more, lets go of what it waits for, and answers nothing', async (t) => {
    const { open, mintFor, polls, requests, errors, network } = await setup(t)
    const verifier = open()
    const token = await mintFor('alice')
    await verifier.ready()
    await eventually(() => assert.equal(polls().length, 2))
    assert.equal(network.inFlight, 1)
    await verifier.close()
    assert.equal(network.inFlight, 0)
    const count = requests.length
    await assert.rejects(verifier.check(token), { name: 'VerifierError', code: 'closed' })
    await assert.rejects(verifier.ready(), { code: 'closed' })
    await verifier.close()
    assert.deepEqual([requests.length, errors], [count, []])
  })
})

describe('the options of a verifier', () => {
  it('are checked at once, and no secret of them is quoted', async (t) => {
    const { open, environmentId } = await setup(t)
    const short = 'a-secret-that-is-too-short'
    const faults: [object, RegExp][] = [
      [{ environmentId: 'prod' }, /^environmentId: must be the id of an environment$/],
      [{ environmentId: undefined }, /^environmentId: /],
      [{ url: 'jeton.example' }, /^url: must be an http or https URL$/],
      [{ url: 'file:///etc/passwd' }, /^url: /],
      [{ url: undefined }, /^url: is needed, or feedUrl, for the secretKey$/],
      [{ url: undefined, secretKey: undefined, secrets: [] }, /^url: is needed, or jwksUrl, or secrets$/],
      [{ secretKey: undefined, feedUrl: 'https://a.example' }, /^secretKey: is needed for the feedUrl$/],
      [{ secretKey: `${short}\n` }, /^secretKey: must be a secret key$/],
      [{ secrets: [secretJwk('kid', short)] }, /^secrets\.0\.k: must be at least 32 bytes$/],
      [
        { secrets: [{ ...secretJwk('kid', short), k: `${'A'.repeat(43)}=` }] },
        /^secrets\.0\.k: must be base64url/,
      ],
      [{ secrets: [{ ...secretJwk('kid', short.repeat(2)), alg: 'HS512' }] }, /^secrets\.0\.alg: /],
      [{ secrets: { kid: short.repeat(2) } }, /^secrets: /],
      [{ offlineSeconds: 9 }, /^offlineSeconds: /],
      [{ offlineSeconds: Number.POSITIVE_INFINITY }, /^offlineSeconds: /],
      [{ secret: short }, /^options: /],
    ]
    for (const [wrong, message] of faults) {
      const fault = { name: 'VerifierError', code: 'options_invalid', message }
      assert.throws(() => open({ environmentId, ...wrong }), fault, JSON.stringify(wrong))
      assert.throws(
        () => open(wrong),
        (error: Error) => !error.message.includes(short),
      )
    }
  })
})
