import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { z } from 'zod'
import type { AskInput } from '../../src/client/verifier.ts'
import { ADMIN } from '../helpers/admin.ts'
import { buildWithVerifiers, eventually, SECRETS } from '../helpers/verifier.ts'

/** How long the verifiers here go on without an answer: the clock leaps. */
const offlineSeconds = 2_592_000

async function setup(t: TestContext) {
  const service = await buildWithVerifiers(t)
  const verifier = service.open({ offlineSeconds })
  await verifier.ready()
  const tokens = {
    user: await service.mint('/auth/token', { userId: 'alice', name: 'Alice' }),
    channels: await service.mint('/v1/tokens', {
      peerId: 'alice',
      channels: ['room-*', 'team/**'],
      permissions: ['publish', 'subscribe'],
      metadata: { a: 1 },
    }),
    client: await service.mint('/v1/client/tokens', {
      userId: 'alice',
      expiresIn: 600,
      allowedModels: ['m'],
      allowedOrigins: ['https://a.example'],
      constraints: { realtime: { maxSessionDuration: 60 } },
    }),
    anyClient: await service.mint('/v1/client/tokens', {}),
    peer: await service.mint('/v1/peer/tokens', {
      groupId: 'g',
      peerId: 'p',
      allowPolicy: { groupId: 'g*', peerId: 'q-*' },
    }),
    lonePeer: await service.mint('/v1/peer/tokens', { groupId: 'g', peerId: 'p' }),
  }
  return { ...service, verifier, tokens, same, gate }

  async function gate(token: string, ask?: unknown, origin?: string) {
    const reply = await service.post('/v1/verify', { token, ask, origin })
    assert.equal(reply.statusCode, 200, reply.body)
    return reply.json()
  }

  /** Asks both, and gives the answer if it is one. */
  async function same(token: string, ask?: AskInput, origin?: string) {
    const answer = await verifier.check(token, ask, { origin })
    assert.deepEqual(answer, await gate(token, ask, origin))
    return answer
  }
}

/** The token of before, changed and signed again as it was: what a thief of the secret could make. */
async function resigned(token: string, claims: object, header: object = {}): Promise<string> {
  const { kid = '' } = decodeProtectedHeader(token)
  const secret =
    Object.entries(SECRETS).find(([name]) => name === kid)?.[1].text ?? 'a secret of nobody, 32 bytes long'
  return await new SignJWT({ ...decodeJwt(token), ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid, ...header })
    .sign(Buffer.from(secret))
}

function codeOf(answer: { allowed: boolean; code?: string }): string {
  return answer.allowed ? 'allowed' : String(answer.code)
}

describe('the verifier', () => {
  it('answers as the gate does about every format, with an ask and without one', async (t) => {
    const { tokens, same } = await setup(t)
    const asks: [keyof typeof tokens, AskInput | undefined, string | undefined, string][] = [
      ['user', undefined, undefined, 'allowed'],
      ['user', undefined, 'https://any.example', 'allowed'],
      ['user', { action: 'send' }, undefined, 'ask_not_for_format'],
      ['channels', undefined, undefined, 'allowed'],
      ['channels', { action: 'subscribe', channel: 'room-1' }, undefined, 'allowed'],
      ['channels', { action: 'publish', channel: 'team/a/b' }, undefined, 'allowed'],
      ['channels', { action: 'publish', channel: 'room-1/x' }, undefined, 'channel_not_granted'],
      ['channels', { action: 'publish', channel: '_system/x' }, undefined, 'channel_reserved'],
      ['channels', { action: 'presence', channel: 'room-1' }, undefined, 'action_not_granted'],
      ['channels', { action: 'send' }, undefined, 'action_not_granted'],
      ['channels', { model: 'm' }, undefined, 'ask_not_for_format'],
      ['client', undefined, 'https://a.example', 'allowed'],
      ['client', { model: 'm' }, 'https://a.example', 'allowed'],
      ['client', { model: 'n' }, 'https://a.example', 'model_not_granted'],
      ['client', { model: 'm' }, 'https://b.example', 'origin_not_allowed'],
      ['client', undefined, undefined, 'origin_not_allowed'],
      ['anyClient', { model: 'any' }, undefined, 'allowed'],
      ['peer', undefined, undefined, 'allowed'],
      ['peer', { groupId: 'g2', peerId: 'q-1' }, undefined, 'allowed'],
      ['peer', { groupId: 'h', peerId: 'q-1' }, undefined, 'group_not_granted'],
      ['peer', { groupId: 'g', peerId: 'r' }, undefined, 'peer_not_granted'],
      ['peer', { action: 'send' }, undefined, 'ask_not_for_format'],
      ['lonePeer', { groupId: 'g', peerId: 'p' }, undefined, 'group_not_granted'],
    ]
    for (const [name, ask, origin, code] of asks) {
      const answer = await same(tokens[name], ask, origin)
      assert.equal(codeOf(answer), code, `${name} ${JSON.stringify(ask)}`)
    }
    assert.equal(codeOf(await same(`ek_${tokens.anyClient}`)), 'allowed')
    assert.equal(codeOf(await same(`ek_${tokens.user}`)), 'token_malformed')
    const session = await same(tokens.client, undefined, 'https://a.example')
    assert.equal(session.allowed && session.maxSessionSeconds, 60)
    const nobody = await same(tokens.anyClient)
    assert.equal(nobody.allowed && nobody.subject, null)
  })

  it('answers as the gate does about tokens that are signed well and say what they may not', async (t) => {
    const { tokens, same, seams } = await setup(t)
    const now = Math.floor(seams.now() / 1000)
    const claims: [object, string][] = [
      [{ iss: 'https://jeton.example/environments/env_other' }, 'issuer_wrong'],
      [{ aud: 'env_other' }, 'audience_wrong'],
      [{ aud: ['x', decodeJwt(tokens.user).aud] }, 'allowed'],
      [{ fmt: 'channels' }, 'signing_key_unknown'],
      [{ fmt: undefined }, 'token_malformed'],
      [{ sub: undefined }, 'token_malformed'],
      [{ jti: 7 }, 'token_malformed'],
      [{ exp: '1795351463' }, 'token_malformed'],
      [{ iat: now + 1.5 }, 'token_malformed'],
      [{ name: ['Alice'] }, 'token_malformed'],
      [{ exp: now - 10 }, 'token_expired'],
      [{ exp: now - 9 }, 'allowed'],
      [{ iat: now + 11, exp: now + 60 }, 'lifetime_too_long'],
      [{ iat: now, exp: now + 86_401 }, 'lifetime_too_long'],
    ]
    for (const [claim, code] of claims) {
      assert.equal(codeOf(await same(await resigned(tokens.user, claim))), code, JSON.stringify(claim))
    }
    const headers: [object, string][] = [
      [{ typ: undefined }, 'token_malformed'],
      [{ typ: 'at+jwt' }, 'token_malformed'],
      [{ kid: 'nobody' }, 'signing_key_unknown'],
      [{ kid: decodeProtectedHeader(tokens.peer).kid }, 'algorithm_refused'],
      [{ kid: 'their-channels-key' }, 'signature_invalid'],
      [{ jwk: {} }, 'token_malformed'],
      [{ jku: 'https://a.example' }, 'token_malformed'],
    ]
    for (const [header, code] of headers) {
      assert.equal(codeOf(await same(await resigned(tokens.user, {}, header))), code, JSON.stringify(header))
    }
    const [, payload, signature] = tokens.user.split('.')
    for (const alg of ['none', 'None', 'HS512', 'EdDSA', 'x'.repeat(100)]) {
      const header = { alg, kid: 'their-user-key', typ: 'JWT' }
      const text = Buffer.from(JSON.stringify(header)).toString('base64url')
      assert.equal(codeOf(await same(`${text}.${payload}.${signature}`)), 'algorithm_refused', alg)
    }
  })

  it('answers as the gate does about a token once it has ended', async (t) => {
    const { tokens, same, seams, follower } = await setup(t)
    seams.advance(3_609_000)
    await follower.refresh()
    assert.equal(codeOf(await same(tokens.peer)), 'allowed')
    seams.advance(1_000)
    for (const token of [tokens.user, tokens.channels, tokens.client, tokens.peer]) {
      const answer = await same(token)
      assert.equal(!answer.allowed && answer.closeCode, 4002)
    }
  })

  it('answers as the gate does once a token, a subject or a key was revoked', async (t) => {
    const { tokens, same, verifier, revoke, seams, mint } = await setup(t)
    const revoked = async (token: string, about: object) => {
      assert.equal(codeOf(await same(token)), 'allowed')
      await revoke(about)
      await eventually(async () => assert.equal((await verifier.check(token)).allowed, false))
      const answer = await same(token)
      assert.equal(codeOf(answer), 'token_revoked')
    }
    await revoked(tokens.user, { jti: decodeJwt(tokens.user).jti })
    await revoked(tokens.peer, { subject: 'g:p' })
    assert.equal(codeOf(await same(tokens.lonePeer)), 'token_revoked')
    await revoked(tokens.anyClient, { keyId: decodeJwt(tokens.anyClient).client_id })
    assert.equal(codeOf(await same(tokens.channels)), 'token_revoked')
    seams.advance(1_000)
    assert.equal(codeOf(await same(await mint('/auth/token', { userId: 'alice', name: 'A' }))), 'allowed')
  })

  it('lets nothing of an archived environment in, and everything again once it is restored', async (t) => {
    const { tokens, same, verifier, environments, environmentId, follower } = await setup(t)
    const archive = async (archived: boolean) => {
      await environments.update(environmentId, { archived })
      await follower.refresh()
      await eventually(async () => assert.equal((await verifier.check(tokens.peer)).allowed, !archived))
    }
    await archive(true)
    for (const token of [tokens.user, tokens.peer]) {
      assert.equal(codeOf(await same(token)), 'environment_archived')
    }
    await archive(false)
    for (const token of [tokens.user, tokens.peer]) assert.equal(codeOf(await same(token)), 'allowed')
  })

  it('knows nothing of the keys with which backends sign by themselves, which the gate alone can judge', async (t) => {
    const { verifier, gate, post, environmentId, seams } = await setup(t)
    const admin = { authorization: `Bearer ${ADMIN}` }
    const draft = { kind: 'secret', localSigning: true }
    const made = await post(`/v1/environments/${environmentId}/keys`, draft, admin)
    const answer = z.object({ key: z.object({ id: z.string() }), secretKey: z.string() })
    const { key, secretKey } = answer.parse(made.json())
    const token = await new SignJWT({ sub: 'alice', channels: [], permissions: [] })
      .setProtectedHeader({ alg: 'HS256', kid: key.id })
      .setIssuedAt(Math.floor(seams.now() / 1000))
      .setExpirationTime(Math.floor(seams.now() / 1000) + 60)
      .sign(Buffer.from(secretKey))
    assert.equal(codeOf(await gate(token)), 'allowed')
    assert.equal(codeOf(await verifier.check(token)), 'signing_key_unknown')
  })

  it('answers about whatever a stranger sends, and never throws or lets it in', async (t) => {
    const { tokens, verifier } = await setup(t)
    const texts = [
      '',
      '.',
      '..',
      '...',
      'a.b.c',
      'ek_',
      '\0',
      '\ud800',
      '🙂',
      'x'.repeat(1_000_000),
      `${tokens.user}.`,
    ]
    for (const token of Object.values(tokens)) {
      for (let at = 0; at < token.length; at += 7) {
        const other = token[at] === 'A' ? 'B' : 'A'
        texts.push(token.slice(0, at), token.slice(0, at) + other + token.slice(at + 1), token.slice(at + 1))
      }
    }
    for (const text of texts) assert.equal((await verifier.check(text)).allowed, false, text.slice(0, 400))
    // JavaScript does not hold anybody to the types, and a query may hold a member twice.
    for (const value of [undefined, null, 7, {}, [tokens.user, tokens.user]]) {
      const answer = await Reflect.apply(verifier.check, undefined, [value])
      assert.equal(answer.code, 'token_malformed')
    }
  })

  it('throws for an ask that is none, as the gate answers 400', async (t) => {
    const { tokens, verifier, post } = await setup(t)
    const asks: [unknown, RegExp][] = [
      [{}, /^ask must hold/],
      [{ action: 'subscribe' }, /^ask\.channel is needed\.$/],
      [{ action: 'delete', channel: 'a' }, /^ask\.action must be one of/],
      [{ action: 'send', channel: 'a' }, /^ask\.channel must not be there/],
      [{ groupId: 'g' }, /^ask\.peerId is needed\.$/],
      ['subscribe', /^ask /],
    ]
    for (const [ask, message] of asks) {
      const call = Reflect.apply(verifier.check, undefined, [tokens.channels, ask])
      await assert.rejects(call, { name: 'VerifierError', code: 'ask_invalid', message })
      assert.equal((await post('/v1/verify', { token: tokens.channels, ask })).statusCode, 400)
    }
    assert.equal((await verifier.check(tokens.channels, null, { origin: null })).allowed, true)
  })
})
