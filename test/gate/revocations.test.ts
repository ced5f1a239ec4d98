import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RevocationRequest } from '../../src/gate/revoke.ts'
import { build, type TestService } from '../helpers/app.ts'
import { changesSince } from '../helpers/changes.ts'
import { seededChance } from '../helpers/seams.ts'
import {
  FORMAT_NAMES,
  type FormatName,
  makeLocalKey,
  mintToken,
  partsOf,
  signToken,
} from '../helpers/tokens.ts'

function verdictOf({ gate, made }: TestService, token: string, environment = made.environment) {
  const answer = gate.verify(environment, {
    token,
    publishableKey: undefined,
    origin: undefined,
    ask: undefined,
  })
  return answer.allowed ? 'allowed' : answer.code
}

const revoke = ({ revoke, made }: TestService, request: RevocationRequest) =>
  revoke.revoke(made.environment.id, request)

const nowOf = ({ seams }: TestService) => Math.floor(seams.now() / 1000)

const subjectOf = (format: FormatName) => (format === 'peer' ? 'g:p' : 'alice')

/** The clock goes on, and the store is followed: a service that runs is never stale. */
async function advance({ seams, follower }: TestService, ms: number): Promise<void> {
  seams.advance(ms)
  await follower.refresh()
}

describe('a revocation by jti', () => {
  it('ends one token of any format, and no other one', async (t) => {
    const service = await build(t)
    for (const format of FORMAT_NAMES) {
      const [token, other] = [await mintToken(service, format), await mintToken(service, format)]
      await revoke(service, { jti: String(partsOf(token).claims.jti) })
      assert.equal(verdictOf(service, token), 'token_revoked', format)
      assert.equal(verdictOf(service, other), 'allowed', format)
    }
  })
})

for (const by of ['subject', 'keyId'] as const) {
  describe(`a revocation by ${by}`, () => {
    const about = (service: TestService, format: FormatName, before?: number): RevocationRequest =>
      by === 'subject' ? { subject: subjectOf(format), before } : { keyId: service.made.keyId, before }

    for (const format of FORMAT_NAMES) {
      it(`ends the ${format} tokens of its own second, and not one that is minted after it`, async (t) => {
        const service = await build(t)
        // Not at a whole second, so that the second goes on after the revocation.
        await advance(service, 400)
        const token = await mintToken(service, format)
        await advance(service, 300)
        await revoke(service, about(service, format))
        const fresh = await mintToken(service, format)
        assert.equal(verdictOf(service, token), 'token_revoked')
        assert.equal(verdictOf(service, fresh), 'allowed')
        const { iat, exp } = partsOf(fresh).claims
        assert.equal(iat, nowOf(service) + 1)
        assert.equal(Number(exp) - Number(iat), Number(partsOf(token).claims.exp) - nowOf(service))
        await advance(service, 300)
        assert.equal(partsOf(await mintToken(service, format)).claims.iat, nowOf(service))
        assert.equal(verdictOf(service, fresh), 'allowed')
      })

      it(`ends the ${format} tokens that were issued up to a moment, to the second`, async (t) => {
        const service = await build(t)
        const tokens: string[] = []
        for (let second = 0; second < 3; second += 1) {
          tokens.push(await mintToken(service, format))
          await advance(service, 1_000)
        }
        await revoke(service, about(service, format, nowOf(service) - 2))
        assert.deepEqual(
          tokens.map((token) => verdictOf(service, token)),
          ['token_revoked', 'token_revoked', 'allowed'],
        )
      })
    }

    it('dates a fresh token by what the caller asks, not by the second that it is moved', async (t) => {
      const service = await build(t)
      await revoke(service, about(service, 'channels'))
      const exp = nowOf(service) + 100
      const { claims } = partsOf(await mintToken(service, 'channels', { exp }))
      assert.deepEqual([claims.iat, claims.exp], [nowOf(service) + 1, exp])
    })

    it('takes back nothing of what an earlier one ended, when it is of an earlier moment', async (t) => {
      const service = await build(t)
      const token = await mintToken(service, 'channels')
      await revoke(service, about(service, 'channels'))
      await revoke(service, about(service, 'channels', nowOf(service) - 100))
      assert.equal(verdictOf(service, token), 'token_revoked')
    })

    it('of a moment in the future is refused, and the present second is not', async (t) => {
      const service = await build(t)
      const request = about(service, 'channels', nowOf(service) + 1)
      await assert.rejects(revoke(service, request), { error: 'body_invalid' })
      await revoke(service, about(service, 'channels', nowOf(service)))
    })
  })
}

describe('a revocation by subject', () => {
  it('ends no client token that is for nobody in particular', async (t) => {
    const service = await build(t)
    const token = await mintToken(service, 'client', { userId: null })
    await revoke(service, { subject: service.made.keyId })
    assert.equal(verdictOf(service, token), 'allowed')
    await revoke(service, { keyId: service.made.keyId })
    assert.equal(verdictOf(service, token), 'token_revoked')
  })

  it('ends the tokens of a user who is called like the key, in the other formats', async (t) => {
    const service = await build(t)
    const token = await mintToken(service, 'channels', { peerId: service.made.keyId })
    await revoke(service, { subject: service.made.keyId })
    assert.equal(verdictOf(service, token), 'token_revoked')
    const fresh = await mintToken(service, 'channels', { peerId: service.made.keyId })
    assert.equal(verdictOf(service, fresh), 'allowed')
  })

  it('is about the subject as it is spelled, and about no other one', async (t) => {
    const service = await build(t)
    const token = await mintToken(service, 'user')
    for (const subject of ['Alice', 'alice2', 'ali', '*', 'g:p', '__proto__', 'constructor']) {
      await revoke(service, { subject })
      assert.equal(verdictOf(service, token), 'allowed', subject)
    }
  })

  it('leaves the subject of the same name in another environment alone', async (t) => {
    const service = await build(t)
    const another = await service.environments.create('Another')
    await service.follower.refresh()
    const token = await mintToken(service, 'user', {}, { 'x-api-key': another.secretKey })
    await revoke(service, { subject: 'alice' })
    assert.equal(verdictOf(service, token, another.environment), 'allowed')
    const { claims } = partsOf(await mintToken(service, 'user', {}, { 'x-api-key': another.secretKey }))
    assert.equal(claims.iat, nowOf(service))
  })
})

describe('a revocation by key', () => {
  it('ends what this key minted, and nothing of another one', async (t) => {
    const service = await build(t)
    const headers = await service.keyWith({})
    const [own, other] = [
      await mintToken(service, 'channels'),
      await mintToken(service, 'channels', {}, headers),
    ]
    await revoke(service, { keyId: service.made.keyId })
    assert.equal(verdictOf(service, own), 'token_revoked')
    assert.equal(verdictOf(service, other), 'allowed')
    assert.equal(partsOf(await mintToken(service, 'user', {}, headers)).claims.iat, nowOf(service))
  })

  it('of another environment, or of none, is not found', async (t) => {
    const service = await build(t)
    const another = await service.environments.create('Another')
    for (const keyId of [another.keyId, 'kid_0', '']) {
      await assert.rejects(revoke(service, { keyId }), { error: 'not_found' })
    }
    await assert.rejects(service.revoke.revoke('env_0', { jti: 'x' }), { error: 'not_found' })
    assert.equal((await changesSince(service.store, 0)).revocations.length, 0)
  })
})

describe('a revocation that is over', () => {
  // The longest life of any token, and how far clocks may be apart.
  const LONGEST = 86_400
  const LEEWAY = 10

  /** What the store holds, after something that makes it forget. */
  async function kept(service: TestService): Promise<string[]> {
    await revoke(service, { jti: 'another' })
    const { revocations } = await changesSince(service.store, 0)
    return revocations.map(({ value }) => value).filter((value) => value !== 'another')
  }

  /** The token that lives longest of all that a revocation may be about, signed by a backend itself. */
  async function longestLived(service: TestService, iat: number) {
    const { id, text } = await makeLocalKey(service)
    const claims = { sub: 'alice', jti: 'mine', iat, exp: iat + LONGEST, channels: [], permissions: [] }
    return { id, token: signToken({ alg: 'HS256', kid: id }, claims, text) }
  }

  const requests: [string, (keyId: string) => RevocationRequest, lastIat: number][] = [
    // It was dated by a clock that is as far ahead as it may be.
    ['jti', () => ({ jti: 'mine' }), LEEWAY],
    ['subject', () => ({ subject: 'alice' }), 0],
    ['key', (keyId) => ({ keyId }), 0],
  ]
  for (const [kind, request, lastIat] of requests) {
    it(`by ${kind} is kept for exactly as long as such a token could be let in`, async (t) => {
      const service = await build(t)
      const from = nowOf(service)
      const { id, token } = await longestLived(service, from + lastIat)
      assert.equal(verdictOf(service, token), 'allowed')
      await revoke(service, request(id))
      assert.equal(verdictOf(service, token), 'token_revoked')
      const lastSecond = from + lastIat + LONGEST + LEEWAY - 1
      await advance(service, (lastSecond - nowOf(service)) * 1000 + 999)
      assert.equal((await kept(service)).length, 1)
      assert.equal(verdictOf(service, token), 'token_revoked')
      await advance(service, 1)
      assert.equal((await kept(service)).length, 0)
      assert.equal(verdictOf(service, token), 'token_expired')
    })
  }

  it('by RFC 7009 is kept until its own token is over', async (t) => {
    const service = await build(t)
    const token = await mintToken(service, 'client', { expiresIn: 60 })
    const authorization = `Bearer ${service.made.secretKey}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization }
    const payload = `token=${token}`
    await service.server.inject({ method: 'POST', url: '/v1/revoke', headers, payload })
    await advance(service, 69_999)
    assert.equal((await kept(service)).length, 1)
    assert.equal(verdictOf(service, token), 'token_revoked')
    await advance(service, 1)
    assert.equal((await kept(service)).length, 0)
    assert.equal(verdictOf(service, token), 'token_expired')
  })

  it('is never one whose token could be let in, at any second of a random history', async (t) => {
    const chance = seededChance(t)
    const service = await build(t)
    const { id, text } = await makeLocalKey(service)
    const doomed: string[] = []
    for (let step = 0; step < 300; step += 1) {
      await advance(service, chance(600_000))
      const iat = nowOf(service) + LEEWAY - chance(30)
      const jti = `token-${step}`
      const sub = `user-${chance(20)}`
      const exp = iat + 1 + chance(LONGEST)
      const token = signToken(
        { alg: 'HS256', kid: id },
        { sub, jti, iat, exp, channels: [], permissions: [] },
        text,
      )
      const lives = verdictOf(service, token) === 'allowed'
      const request = [{ keyId: id }, { subject: sub }, { subject: sub }][chance(10)] ?? { jti }
      await revoke(service, request)
      if (lives && ('jti' in request || iat <= nowOf(service))) {
        assert.equal(verdictOf(service, token), 'token_revoked')
        doomed.push(token)
      }
      for (const old of doomed) assert.notEqual(verdictOf(service, old), 'allowed')
    }
    assert.ok(doomed.length > 50)
  })
})
