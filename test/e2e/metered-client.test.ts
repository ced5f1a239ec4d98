import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { SignallingConnectError } from '@metered-ca/realtime'
import type { Access } from '../../src/store/store.ts'
import { hearClient, JUDGES, mintChannels, startRealtime } from '../helpers/realtime.ts'

const ORIGIN = 'https://app.example.com'
const LEEWAY_SECONDS = 10

for (const by of JUDGES) {
  describe(`the Metered client, as it comes from npm, at the example server, judged by the ${by}`, () => {
    it('subscribes, publishes, and hears messages, presence and what is sent to it alone', async (t) => {
      const { join } = await start(t, by)
      const alice = await join('alice', { peerMetadata: { name: 'Alice' } })
      const bob = await join('bob', { peerMetadata: { name: 'Bob' } })
      await alice.client.subscribe('room-1')
      await bob.client.subscribe('room-1', { includeSenderMetadata: true })
      const [both] = await some(t, () => bob.heard('presence'))
      assert.deepEqual(both?.joined, [present('alice', 'Alice'), present('bob', 'Bob')])
      const came = await some(t, () => alice.heard('presence').slice(1))
      assert.deepEqual(came[0]?.joined, [present('bob', 'Bob')])

      await alice.client.publish('room-1', { text: 'hello' })
      await bob.client.publish('room-1', 'hi')
      await bob.client.send('alice', { wave: true })
      const fromMetadata = { name: 'Bob' }
      assert.deepEqual(await some(t, () => alice.heard('direct')), [
        { from: 'bob', fromMetadata, data: { wave: true } },
      ])
      assert.deepEqual(bob.heard('message'), [
        { channel: 'room-1', from: 'alice', fromMetadata: { name: 'Alice' }, data: { text: 'hello' } },
      ])
      assert.deepEqual(alice.heard('message'), [{ channel: 'room-1', from: 'bob', data: 'hi' }])

      await bob.client.unsubscribe('room-1')
      const left = await some(t, () => alice.heard('presence').flatMap((one) => one.left))
      assert.deepEqual(left, [present('bob', 'Bob')])
      await alice.client.publish('room-1', 'is anyone there?')
      assert.equal(bob.heard('message').length, 1)
    })

    it('is told its id, the end of its token, and the TURN credentials that the token holds', async (t) => {
      const { join, service } = await start(t, by)
      const turn = { urls: ['turn:turn.example.com:3478'], secret: 'north' }
      await service.environments.update(service.made.environment.id, { turn })
      await service.follower.refresh()
      const { heard } = await join('alice', { expiresInSec: 600 })
      const now = service.seams.now() / 1000
      const [connected] = heard('connected')
      assert.ok(connected)
      const { iceServers, ...rest } = connected
      const expected = { peerId: 'alice', serverTime: now, expiresAt: now + 600, maxMessageSize: 65_536 }
      assert.deepEqual(rest, { ...expected, isReconnect: false })
      assert.equal(iceServers?.[0]?.username, `${now + 600}:alice`)
    })

    it('comes in with a publishable key from where it may, under an id that the server gives', async (t) => {
      const here = await start(t, by)
      const apiKey = await here.publishableKey({ actions: ['subscribe', 'publish'] })
      const guest = hearClient(t, { apiKey, url: here.url }, ORIGIN)
      await guest.client.connect()
      const [connected] = guest.heard('connected')
      assert.match(String(connected?.peerId), /^guest-/)
      assert.equal(connected?.expiresAt, null)
      const alice = await here.join('alice')
      await alice.client.subscribe('room-1')
      await guest.client.subscribe('room-1')
      await guest.client.publish('room-1', 'from outside')
      const [message] = await some(t, () => alice.heard('message'))
      assert.deepEqual(message, { channel: 'room-1', from: connected?.peerId, data: 'from outside' })
      // Its key has no `presence` and no `send`.
      assert.deepEqual(guest.heard('presence'), [])
      await assert.rejects(guest.client.send('alice', 'psst'), { name: 'action_not_permitted' })
      await alice.client.send(String(connected?.peerId), 'psst')
      assert.equal((await some(t, () => guest.heard('direct')))[0]?.from, 'alice')
    })

    it('sees who is there only if its token grants that', async (t) => {
      const { join } = await start(t, by)
      const blind = await join('blind', { permissions: ['subscribe'] })
      const seeing = await join('seeing', { permissions: ['subscribe', 'presence', 'publish'] })
      await blind.client.subscribe('room-1')
      await seeing.client.subscribe('room-1')
      await seeing.client.publish('room-1', 'everything before this has arrived')
      await some(t, () => blind.heard('message'))
      assert.deepEqual(blind.heard('presence'), [])
      const [both] = await some(t, () => seeing.heard('presence'))
      assert.deepEqual(both?.joined, [{ peerId: 'blind' }, { peerId: 'seeing' }])
    })

    it('stays when it asks for an action that its token does not grant', async (t) => {
      const { join } = await start(t, by)
      const reader = await join('reader', { permissions: ['subscribe'] })
      await assert.rejects(reader.client.publish('room-1', 1), { name: 'action_not_permitted' })
      await assert.rejects(reader.client.send('reader', 1), { name: 'action_not_permitted' })
      await reader.client.subscribe('room-1')
      assert.equal(reader.client.state, 'connected')
    })
  })

  describe(`the Metered client is refused, judged by the ${by}`, () => {
    const cases: [
      why: string,
      closeCode: number,
      reason: string,
      tokenOf: (here: Here) => Promise<string>,
    ][] = [
      ['with no token at all', 4001, 'token_malformed', async () => 'not-a-token'],
      [
        'with a token of another environment',
        4001,
        'signing_key_unknown',
        (here) => here.mintElsewhere('alice'),
      ],
      ['with a token that was revoked', 4001, 'token_revoked', (here) => here.mintRevoked('alice')],
      ['with a token of another kind', 4001, 'ask_not_for_format', (here) => here.mintUser('alice')],
      ['with a token that has ended', 4002, 'token_expired', (here) => here.mintEnded('alice')],
    ]
    for (const [why, closeCode, reason, tokenOf] of cases) {
      it(`${why}: ${closeCode}, ${reason}`, async (t) => {
        const here = await start(t, by)
        const token = await tokenOf(here)
        const { client, heard } = hearClient(t, { url: here.url, tokenProvider: async () => token })
        await assert.rejects(client.connect(), refusal(closeCode, reason))
        assert.deepEqual(heard('disconnected'), [{ code: closeCode, reason, willReconnect: false }])
      })
    }

    const origins: [why: string, origin: string | undefined][] = [
      ['from another site', 'https://evil.example.com'],
      ['from a site below the one that may', 'https://sub.app.example.com'],
      ['from no site', undefined],
    ]
    for (const [why, origin] of origins) {
      it(`with a publishable key ${why}: 4001, origin_not_allowed`, async (t) => {
        const here = await start(t, by)
        const { client } = hearClient(t, { url: here.url, apiKey: await here.publishableKey() }, origin)
        await assert.rejects(client.connect(), refusal(4001, 'origin_not_allowed'))
      })
    }

    const channels: [channel: string, name: string][] = [
      ['lobby', 'channel_not_authorized'],
      ['room-1/x', 'channel_not_authorized'],
      ['_system/all', 'channel_reserved'],
    ]
    for (const [channel, name] of channels) {
      it(`when it reaches for ${channel}: 4003, and it gives up`, async (t) => {
        const { join } = await start(t, by)
        for (const reach of ['subscribe', 'publish'] as const) {
          const { client, heard } = await join('alice')
          await assert.rejects(client[reach](channel, {}), { name })
          const [end] = await some(t, () => heard('disconnected'))
          assert.equal(end?.code, 4003)
          assert.equal(end?.willReconnect, false)
          assert.equal(client.state, 'closed')
        }
      })
    }

    it('within about a second, when it was revoked while it was there: 4001, and it gives up', async (t) => {
      const { join, service } = await start(t, by)
      const alice = await join('alice')
      const bob = await join('bob')
      await alice.client.subscribe('room-1')
      await bob.client.subscribe('room-1')
      const revokedAt = performance.now()
      await service.post('/v1/revocations', { subject: 'alice' })
      const [end] = await some(t, () => alice.heard('disconnected'))
      assert.ok(performance.now() - revokedAt < 2_000)
      assert.deepEqual(end, { code: 4001, reason: 'token_revoked', willReconnect: false })
      assert.deepEqual(
        (await some(t, () => bob.heard('presence').filter(({ left }) => left.length > 0)))[0]?.left,
        [{ peerId: 'alice' }],
      )
      assert.equal(bob.client.state, 'connected')
    })

    it('when its publishable key was revoked while it was there', async (t) => {
      const here = await start(t, by)
      const apiKey = await here.publishableKey()
      const { client, heard } = hearClient(t, { url: here.url, apiKey }, ORIGIN)
      await client.connect()
      await here.revokePublishableKey()
      const [end] = await some(t, () => heard('disconnected'))
      assert.deepEqual(end, { code: 4001, reason: 'publishable_key_revoked', willReconnect: false })
    })
  })

  describe(`the Metered client comes back, judged by the ${by}`, () => {
    it('after 4002 at the end of its token, with a fresh one, and is in its channels again', async (t) => {
      const here = await start(t, by)
      const alice = await here.join('alice')
      const lives = [1, 600]
      const tokenProvider = () => here.mint('bob', { expiresInSec: lives.shift() ?? assert.fail() })
      const bob = hearClient(t, { url: here.url, tokenProvider })
      await bob.client.connect()
      await bob.client.subscribe('room-1')
      await alice.client.subscribe('room-1')
      const [end] = await some(t, () => bob.heard('disconnected'))
      assert.deepEqual(end, { code: 4002, reason: 'token_expired', willReconnect: true })
      await some(t, () => bob.heard('connected').filter(({ isReconnect }) => isReconnect))
      // What she was told at first holds herself as well.
      const back = () => alice.heard('presence').filter(({ joined }) => joined.length === 1)
      assert.deepEqual((await some(t, back))[0]?.joined, [{ peerId: 'bob' }])
      await alice.client.publish('room-1', 'welcome back')
      assert.equal((await some(t, () => bob.heard('message')))[0]?.data, 'welcome back')
    })

    it('after a second 4002 too, when its first fresh token was none', async (t) => {
      const here = await start(t, by)
      const ended = await here.mintEnded('bob')
      const tokens = [() => here.mint('bob', { expiresInSec: 1 }), async () => ended, () => here.mint('bob')]
      const tokenProvider = () => (tokens.shift() ?? assert.fail())()
      const { client, heard } = hearClient(t, { url: here.url, tokenProvider })
      await client.connect()
      await some(t, () => heard('connected').filter(({ isReconnect }) => isReconnect))
      assert.deepEqual(
        heard('disconnected').map(({ code }) => code),
        [4002, 4002],
      )
    })
  })
}

type Here = Awaited<ReturnType<typeof start>>

async function start(t: TestContext, by: (typeof JUDGES)[number]) {
  const realtime = await startRealtime(t, by)
  const { service, url, mint } = realtime
  const { seams, made, follower, keyLives } = service
  let keyId = ''
  return {
    service,
    url,
    mint,
    join,
    mintElsewhere,
    mintRevoked,
    mintUser,
    mintEnded,
    publishableKey,
    revokePublishableKey,
  }

  /** A peer that is connected with a token of its own. */
  async function join(peerId: string, request?: object) {
    const heard = hearClient(t, { url, tokenProvider: () => mint(peerId, request) })
    await heard.client.connect()
    return heard
  }

  async function mintElsewhere(peerId: string): Promise<string> {
    const elsewhere = await service.environments.create('Elsewhere')
    await follower.refresh()
    return mintChannels(service, elsewhere, peerId)
  }

  async function mintRevoked(peerId: string): Promise<string> {
    const token = await mint(peerId)
    await service.post('/v1/revocations', { subject: peerId })
    return token
  }

  async function mintUser(userId: string): Promise<string> {
    return (await service.post('/auth/token', { userId, name: userId })).json().token
  }

  async function mintEnded(peerId: string): Promise<string> {
    const token = await mint(peerId, { expiresInSec: 60 })
    seams.advance((60 + LEEWAY_SECONDS + 1) * 1000)
    return token
  }

  async function publishableKey(access: Partial<Access> = {}): Promise<string> {
    const { row, text } = await keyLives.create(made.environment.id, {
      kind: 'publishable',
      access: { channels: ['room-*'], actions: ['subscribe'], allowedOrigins: [ORIGIN], ...access },
    })
    await follower.refresh()
    keyId = row.id
    return text ?? assert.fail()
  }

  async function revokePublishableKey(): Promise<void> {
    await keyLives.revoke(keyId)
    await follower.refresh()
  }
}

/** Waits until there are some. */
async function some<Item>(t: TestContext, list: () => readonly Item[]): Promise<readonly Item[]> {
  return await t.waitFor(
    () => {
      const items = list()
      assert.ok(items.length > 0)
      return items
    },
    { interval: 10, timeout: 5_000 },
  )
}

function refusal(closeCode: number, reason: string) {
  return (error: unknown): true => {
    assert.ok(error instanceof SignallingConnectError)
    assert.deepEqual([error.closeCode, error.closeReason], [closeCode, reason])
    return true
  }
}

function present(peerId: string, name: string) {
  return { peerId, metadata: { name } }
}
