import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { SignJWT } from 'jose'
import type { Grant } from '../../src/domain/grant.ts'
import type { GateCode } from '../../src/domain/verdict.ts'
import type { Ask } from '../../src/formats/ask.ts'
import { build, buildShared, type TestService } from '../helpers/app.ts'
import { makeLocalKey, signToken } from '../helpers/tokens.ts'

const fresh = buildShared()

interface Carried {
  readonly grant?: Grant
  readonly expiresAt?: number
}

/** A backend that signs by itself, with its key and the moment. */
async function backend(carried?: Carried) {
  const service = await fresh()
  const key = await makeLocalKey(service, carried)
  const now = () => service.seams.now() / 1000
  const own = () => ({
    sub: 'alice',
    iat: now(),
    exp: now() + 60,
    channels: ['room-1'],
    permissions: ['subscribe', 'send'],
  })
  const sign = (change: object = {}, header: object = {}) =>
    signToken({ alg: 'HS256', typ: 'JWT', kid: key.id, ...header }, { ...own(), ...change }, key.text)
  return { service, key, now, own, sign }
}

function verify({ gate, made }: TestService, token: string, ask?: Ask, environment = made.environment) {
  return gate.verify(environment, { token, publishableKey: undefined, origin: undefined, ask })
}

function verdictOf(service: TestService, token: string, ask?: Ask) {
  const answer = verify(service, token, ask)
  return answer.allowed ? 'allowed' : answer.code
}

describe('a token that a backend signed by itself', () => {
  it('is let in as a channels token of its key, with a library of its own', async () => {
    const { service, key, now } = await backend()
    const token = await new SignJWT({ channels: ['room-*'], permissions: ['subscribe'] })
      .setProtectedHeader({ alg: 'HS256', kid: key.id })
      .setSubject('alice')
      .setIssuedAt(now())
      .setExpirationTime(now() + 60)
      .sign(new TextEncoder().encode(key.text))
    const ask: Ask = { kind: 'channels', action: 'subscribe', channel: 'room-1' }
    const answer = verify(service, token, ask)
    assert.ok(answer.allowed)
    const { format, keyId, subject, expiresAt, claims, checks } = answer
    assert.deepEqual(
      { format, keyId, subject, expiresAt },
      { format: 'channels', keyId: key.id, subject: 'alice', expiresAt: now() + 60 },
    )
    assert.deepEqual(claims, {
      channels: ['room-*'],
      permissions: ['subscribe'],
      sub: 'alice',
      iat: now(),
      exp: now() + 60,
    })
    const rules =
      'token signing_key algorithm signature issuer audience format claims time lifetime revocation'
    assert.deepEqual(
      checks.map(({ check }) => check),
      [...rules.split(' '), 'environment', 'grant', 'action', 'channel'],
    )
  })

  const taken: [string, (own: { environmentId: string }) => object, object?][] = [
    [
      'all that Jeton writes',
      ({ environmentId }) => ({
        iss: `https://x/environments/${environmentId}`,
        aud: environmentId,
        jti: 'mine',
        fmt: 'channels',
      }),
    ],
    ['an audience among others', ({ environmentId }) => ({ aud: ['x', environmentId] })],
    ['no typ', () => ({}), { typ: undefined }],
    ['typ jwt', () => ({}), { typ: 'jwt' }],
    ['claims of its own', () => ({ anything: { at: 'all' } })],
    ['a day’s life', () => ({ exp: Date.UTC(2026, 10, 23, 12) / 1000 })],
    ['iat 10 s ahead', () => ({ iat: Date.UTC(2026, 10, 22, 12) / 1000 + 10 })],
    ['no channel and no permission', () => ({ channels: [], permissions: [] })],
  ]
  for (const [what, change, header] of taken) {
    it(`may have ${what}`, async () => {
      const { service, sign } = await backend()
      const token = sign(change({ environmentId: service.made.environment.id }), header)
      assert.equal(verdictOf(service, token), 'allowed')
    })
  }

  const refused: [string, object, GateCode, object?][] = [
    ...['sub', 'iat', 'exp', 'channels', 'permissions'].map((name): [string, object, GateCode] => [
      `no ${name}`,
      { [name]: undefined },
      'token_malformed',
    ]),
    ['an issuer of another environment', { iss: 'https://x/environments/env_0' }, 'issuer_wrong'],
    ['an issuer that is null', { iss: null }, 'issuer_wrong'],
    ['another audience', { aud: 'env_0' }, 'audience_wrong'],
    ['an audience that is null', { aud: null }, 'audience_wrong'],
    ['another format', { fmt: 'user' }, 'token_malformed'],
    ['a format that is null', { fmt: null }, 'token_malformed'],
    ['another typ', {}, 'token_malformed', { typ: 'at+jwt' }],
    ['a jti that is a number', { jti: 7 }, 'token_malformed'],
    ['a jti that is null', { jti: null }, 'token_malformed'],
    ['an empty jti', { jti: '' }, 'token_malformed'],
    ['a jti that no revocation can name', { jti: 'x'.repeat(257) }, 'token_malformed'],
    ['a jti with a zero byte', { jti: 'a\u0000' }, 'token_malformed'],
    ['an empty sub', { sub: '' }, 'token_malformed'],
    ['a sub that is too long', { sub: 'x'.repeat(129) }, 'token_malformed'],
    ['a sub that minting refuses', { sub: 'alice ' }, 'token_malformed'],
    ['a sub that cannot be seen', { sub: 'alice\u200b' }, 'token_malformed'],
    ['iat as a text', { iat: '1795348800' }, 'token_malformed'],
    ['exp with a fraction', { exp: 1795348860.5 }, 'token_malformed'],
    ['a permission that there is not', { permissions: ['fly'] }, 'token_malformed'],
    ['channels as a text', { channels: '**' }, 'token_malformed'],
    ['a channel that is no pattern', { channels: ['a\\b'] }, 'token_malformed'],
    ['101 channels', { channels: Array.from({ length: 101 }, (_, index) => `${index}`) }, 'token_malformed'],
    ['a reserved channel', { channels: ['_metered/x'] }, 'channel_reserved'],
    ['HS512', {}, 'algorithm_refused', { alg: 'HS512' }],
    ['none', {}, 'algorithm_refused', { alg: 'none' }],
    ['EdDSA', {}, 'algorithm_refused', { alg: 'EdDSA' }],
    ['a second more than a day', { exp: Date.UTC(2026, 10, 23, 12) / 1000 + 1 }, 'lifetime_too_long'],
    ['iat 11 s ahead', { iat: Date.UTC(2026, 10, 22, 12) / 1000 + 11 }, 'lifetime_too_long'],
    ['iat of long ago and an end to come', { iat: 0 }, 'lifetime_too_long'],
    ['an end that is over', { exp: Date.UTC(2026, 10, 22, 12) / 1000 - 10 }, 'token_expired'],
  ]
  for (const [what, change, code, header] of refused) {
    it(`is refused with ${what}: ${code}`, async () => {
      const { service, sign } = await backend()
      assert.equal(verdictOf(service, sign()), 'allowed')
      assert.equal(verdictOf(service, sign(change, header)), code)
    })
  }

  it('is refused in the spelling of client tokens', async () => {
    const { service, sign } = await backend()
    assert.equal(verdictOf(service, `ek_${sign()}`), 'token_malformed')
  })

  it('is refused when it is signed with anything but the whole text of the key', async () => {
    const { service, key, own } = await backend()
    const header = { alg: 'HS256', kid: key.id }
    for (const secret of [
      key.text.slice(0, -1),
      key.text.slice(8),
      `${key.text}\n`,
      key.id,
      randomBytes(32),
    ]) {
      assert.equal(verdictOf(service, signToken(header, own(), secret)), 'signature_invalid')
    }
    const stranger = { ...header, kid: service.made.keyId }
    assert.equal(
      verdictOf(service, signToken(stranger, own(), service.made.secretKey)),
      'signing_key_unknown',
    )
  })

  it('is unknown in every other environment', async () => {
    const { service, sign } = await backend()
    const { environment } = await service.environments.create('Another')
    await service.follower.refresh()
    const answer = verify(service, sign(), undefined, environment)
    assert.ok(!answer.allowed)
    assert.equal(answer.code, 'signing_key_unknown')
  })
})

describe('the grant of a key that signs by itself', () => {
  const bound: [string, Grant, object, GateCode | 'allowed'][] = [
    ['channels', { channels: ['room-*'] }, { channels: ['room-1', 'room-*'] }, 'allowed'],
    ['channels', { channels: ['room-*'] }, { channels: ['room-1', 'lobby'] }, 'channel_not_granted'],
    ['channels', { channels: ['room-*'] }, { channels: ['room-**'] }, 'channel_not_granted'],
    ['channels', { channels: [] }, { channels: ['room-1'] }, 'channel_not_granted'],
    ['permissions', { permissions: ['subscribe'] }, { permissions: ['subscribe'] }, 'allowed'],
    ['permissions', { permissions: ['subscribe'] }, { permissions: ['publish'] }, 'action_not_granted'],
    ['formats', { formats: ['channels'] }, {}, 'allowed'],
    ['formats', { formats: ['user', 'peer'] }, {}, 'action_not_granted'],
    ['uses', { uses: ['mint'] }, {}, 'allowed'],
    ['uses', { uses: ['verify', 'revoke'] }, {}, 'signing_key_unknown'],
    ['maxTtlSeconds', { maxTtlSeconds: 60 }, {}, 'allowed'],
    ['maxTtlSeconds', { maxTtlSeconds: 59 }, {}, 'lifetime_too_long'],
  ]
  for (const [member, grant, change, verdict] of bound) {
    it(`binds ${member}: ${JSON.stringify(grant)} and ${JSON.stringify(change)} are ${verdict}`, async () => {
      const { service, sign } = await backend({ grant })
      assert.equal(verdictOf(service, sign(change)), verdict)
    })
  }

  it('binds from the moment at which it is changed', async () => {
    const { service, key, sign } = await backend()
    assert.equal(verdictOf(service, sign()), 'allowed')
    await service.keyLives.update(key.id, { grant: { channels: ['lobby'] } })
    await service.follower.refresh()
    assert.equal(verdictOf(service, sign()), 'channel_not_granted')
  })

  it('is cut by what the environment allows, as it is when the token is judged', async () => {
    const { service, sign } = await backend()
    assert.equal(verdictOf(service, sign({})), 'allowed')
    const settings = { lifetimes: { channels: { defaultSeconds: 30, longestSeconds: 30 } } }
    await service.environments.update(service.made.environment.id, { settings })
    await service.follower.refresh()
    const environment = await service.store.findEnvironment(service.made.environment.id)
    const answer = verify(service, sign({}), undefined, environment)
    assert.ok(!answer.allowed)
    assert.equal(answer.code, 'lifetime_too_long')
  })
})

describe('the end of a key that signs by itself', () => {
  it('ends what it signed at once, when it is revoked', async () => {
    const { service, key, sign } = await backend()
    const token = sign()
    assert.equal(verdictOf(service, token), 'allowed')
    await service.keyLives.revoke(key.id)
    await service.follower.refresh()
    assert.equal(verdictOf(service, token), 'signing_key_unknown')
  })

  it('leaves what it signed before it expired, and lets nothing in that it signed from then on', async (t) => {
    // It moves the clock.
    const service = await build(t)
    const expiresAt = service.seams.now() + 5_000
    const key = await makeLocalKey(service, { expiresAt })
    const tokenOf = (iat: number) =>
      signToken(
        { alg: 'HS256', kid: key.id },
        { sub: 'alice', iat, exp: iat + 60, channels: [], permissions: [] },
        key.text,
      )
    const end = expiresAt / 1000
    service.seams.advance(6_000)
    assert.equal(verdictOf(service, tokenOf(end - 1)), 'allowed')
    assert.equal(verdictOf(service, tokenOf(end)), 'signing_key_unknown')
    assert.equal(verdictOf(service, tokenOf(end + 1)), 'signing_key_unknown')
  })
})

describe('a revocation', () => {
  it('ends a token without a jti by the digest that names it, and no other one', async () => {
    const { service, sign, now } = await backend()
    const [token, other] = [sign(), sign({ exp: now() + 59 })]
    const found = service.gate.examine(service.made.environment, token)
    assert.ok(found)
    await service.revoke.revoke(service.made.environment.id, { jti: found.jti })
    assert.equal(verdictOf(service, token), 'token_revoked')
    assert.equal(verdictOf(service, other), 'allowed')
  })

  it('ends a token with a jti by it, whoever else has the same one', async () => {
    const { service, sign, now } = await backend()
    const tokens = [sign({ jti: 'same' }), sign({ jti: 'same', exp: now() + 30 })]
    await service.revoke.revoke(service.made.environment.id, { jti: 'same' })
    for (const token of tokens) assert.equal(verdictOf(service, token), 'token_revoked')
  })

  for (const about of ['subject', 'keyId'] as const) {
    it(`by ${about} ends what was signed up to its own second, and nothing after`, async () => {
      const { service, key, sign, now } = await backend()
      const [before, within] = [sign({ iat: now() - 1 }), sign()]
      const request = about === 'subject' ? { subject: 'alice' } : { keyId: key.id }
      await service.revoke.revoke(service.made.environment.id, request)
      assert.equal(verdictOf(service, before), 'token_revoked')
      assert.equal(verdictOf(service, within), 'token_revoked')
      assert.equal(verdictOf(service, sign({ iat: now() + 1 })), 'allowed')
    })
  }
})
