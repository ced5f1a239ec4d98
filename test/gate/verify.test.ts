import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type GateCode, gateCodes } from '../../src/domain/verdict.ts'
import type { Ask } from '../../src/formats/ask.ts'
import type { Presentation } from '../../src/gate/gate.ts'
import type { Access } from '../../src/store/store.ts'
import { build, buildShared, type TestService } from '../helpers/app.ts'
import { FORMAT_NAMES, materialOf, mintToken, partsOf, signToken } from '../helpers/tokens.ts'

const fresh = buildShared()

/** Asks the gate for the test's own environment, as it stands now. */
async function verify(service: TestService, presentation: Partial<Presentation>) {
  const environment = await service.store.findEnvironment(service.made.environment.id)
  assert.ok(environment)
  const nothing = { token: undefined, publishableKey: undefined, origin: undefined, ask: undefined }
  return service.gate.verify(environment, { ...nothing, ...presentation })
}

async function verdictOf(service: TestService, presentation: Partial<Presentation>) {
  const answer = await verify(service, presentation)
  return answer.allowed ? 'allowed' : answer.code
}

async function publishableKey(
  { keyLives, made, follower }: TestService,
  access: Partial<Access>,
  environmentId = made.environment.id,
) {
  const full = { channels: ['room-*'], actions: ['subscribe'], allowedOrigins: ['*'], ...access }
  const { row, text = '' } = await keyLives.create(environmentId, { kind: 'publishable', access: full })
  await follower.refresh()
  return { id: row.id, text }
}

/** A good token with some of its claims changed, signed anew with the environment's own key. */
async function resigned(
  service: TestService,
  format: (typeof FORMAT_NAMES)[number],
  change: object,
  header: object = {},
): Promise<string> {
  const good = partsOf(await mintToken(service, format))
  const algorithm = good.header.alg === 'HS256' ? 'HS256' : 'EdDSA'
  const { material } = await materialOf(service, algorithm)
  return signToken({ ...good.header, ...header }, { ...good.claims, ...change }, material)
}

const on = (action: 'publish' | 'subscribe' | 'presence', channel: string): Ask => ({
  kind: 'channels',
  action,
  channel,
})
const send: Ask = { kind: 'channels', action: 'send', channel: undefined }
const connect = (groupId: string, peerId: string): Ask => ({ kind: 'peer', groupId, peerId })
const use = (model: string): Ask => ({ kind: 'client', model })

const TOKEN_RULES = ['token', 'signing_key', 'algorithm', 'signature', 'type', 'issuer', 'audience', 'format']
const LIFE_RULES = ['claims', 'time', 'lifetime', 'revocation', 'environment']

describe('the gate lets in', () => {
  const asks = [
    ['user', undefined, []],
    ['channels', undefined, []],
    ['channels', on('subscribe', 'room-1'), ['action', 'channel']],
    ['channels', on('publish', 'deep/a/b'), ['action', 'channel']],
    ['channels', send, ['action']],
    ['client', undefined, ['origin']],
    ['client', use('a'), ['origin', 'model']],
    ['peer', undefined, []],
    ['peer', connect('g2', 'user-7'), ['group', 'peer']],
  ] as const
  for (const [format, ask, rules] of asks) {
    it(`a ${format} token ${ask === undefined ? 'without an ask' : `for ${JSON.stringify(ask)}`}, rule by rule`, async () => {
      const service = await fresh()
      const token = await mintToken(service, format)
      const { claims } = partsOf(token)
      const answer = await verify(service, { token, ask })
      assert.deepEqual(answer, {
        allowed: true,
        format,
        environmentId: service.made.environment.id,
        keyId: service.made.keyId,
        subject: format === 'peer' ? 'g:p' : 'alice',
        expiresAt: claims.exp,
        claims,
        checks: [...TOKEN_RULES, ...LIFE_RULES, ...rules].map((check) => ({ check, ok: true })),
      })
    })
  }

  it('a client token without a user, which is for nobody in particular', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client', { userId: null })
    const answer = await verify(service, { token })
    assert.ok(answer.allowed)
    assert.equal(answer.subject, null)
    assert.equal(answer.claims.sub, service.made.keyId)
  })

  it('a subject that is spelled like the key’s id, which stays a subject', async () => {
    const service = await fresh()
    const peerId = service.made.keyId
    const token = await mintToken(service, 'channels', { peerId })
    const answer = await verify(service, { token })
    assert.ok(answer.allowed)
    assert.equal(answer.subject, peerId)
  })

  it('a session, and says how long it may last', async () => {
    const service = await fresh()
    const constraints = { realtime: { maxSessionDuration: 120 } }
    const bound = await verify(service, { token: await mintToken(service, 'client', { constraints }) })
    const free = await verify(service, { token: await mintToken(service, 'client') })
    assert.ok(bound.allowed && free.allowed)
    assert.equal(bound.maxSessionSeconds, 120)
    assert.equal('maxSessionSeconds' in free, false)
  })

  it('a publishable key alone, in the words of a channels token', async () => {
    const service = await fresh()
    const key = await publishableKey(service, {})
    const answer = await verify(service, { publishableKey: key.text, ask: on('subscribe', 'room-1') })
    const rules = [
      'publishable_key',
      'publishable_key_environment',
      'publishable_key_state',
      'origin',
      'environment',
      'access',
      'action',
      'channel',
    ]
    assert.deepEqual(answer, {
      allowed: true,
      format: null,
      environmentId: service.made.environment.id,
      keyId: key.id,
      subject: null,
      expiresAt: null,
      claims: { channels: ['room-*'], permissions: ['subscribe'] },
      checks: rules.map((check) => ({ check, ok: true })),
    })
  })

  it('a token of before PUBLIC_URL changed', async (t) => {
    const service = await build(t, { PUBLIC_URL: 'https://new.example.com' })
    const iss = `https://old.example.com/tokens/environments/${service.made.environment.id}`
    assert.equal(await verdictOf(service, { token: await resigned(service, 'channels', { iss }) }), 'allowed')
  })

  for (const algorithm of ['HS256', 'EdDSA'] as const) {
    it(`every format in an environment that signs everything with ${algorithm}`, async () => {
      const service = await fresh()
      await service.environments.update(service.made.environment.id, { signingAlgorithm: algorithm })
      await service.follower.refresh()
      for (const format of FORMAT_NAMES) {
        const token = await mintToken(service, format)
        assert.equal(partsOf(token).header.alg, algorithm)
        assert.equal(await verdictOf(service, { token }), 'allowed', format)
      }
    })
  }

  it('audiences as a list that has the environment (RFC 7519 §4.1.3)', async () => {
    const service = await fresh()
    const aud = ['another', service.made.environment.id]
    assert.equal(await verdictOf(service, { token: await resigned(service, 'user', { aud }) }), 'allowed')
  })
})

type Case = readonly [
  what: string,
  code: GateCode,
  check: string,
  present: (service: TestService) => Promise<Partial<Presentation>>,
]

/** A claim that is not as Jeton writes it. */
const claims = (
  format: (typeof FORMAT_NAMES)[number],
  change: object,
  code: GateCode,
  check: string,
): Case => [
  `a ${format} token with ${JSON.stringify(change, (_, value) => (value === undefined ? 'nothing' : value))}`,
  code,
  check,
  async (service) => ({ token: await resigned(service, format, change) }),
]

const asking = (
  format: (typeof FORMAT_NAMES)[number],
  ask: Ask,
  code: GateCode,
  check: string,
  more: object = {},
): Case => [
  `a ${format} token ${JSON.stringify(more)} for ${JSON.stringify(ask)}`,
  code,
  check,
  async (service) => ({ token: await mintToken(service, format, more), ask }),
]

const withKey = (
  what: string,
  code: GateCode,
  check: string,
  access: Partial<Access>,
  more: Partial<Presentation>,
): Case => [
  `a publishable key ${what}`,
  code,
  check,
  async (service) => ({ publishableKey: (await publishableKey(service, access)).text, ...more }),
]

const fromOrigin = (allowedOrigins: readonly string[], origin: string | undefined): Case =>
  withKey(
    `for ${allowedOrigins} from ${origin}`,
    'origin_not_allowed',
    'origin',
    { allowedOrigins },
    { origin },
  )

const boundToOrigin = (origin: string | undefined): Case => [
  `a client token for https://app.example.com from ${origin}`,
  'origin_not_allowed',
  'origin',
  async (service) => ({
    token: await mintToken(service, 'client', { allowedOrigins: ['https://app.example.com'] }),
    origin,
  }),
]

const NOW = Date.UTC(2026, 10, 22, 12) / 1000

const refused: readonly Case[] = [
  ['any text', 'token_malformed', 'token', async () => ({ token: 'hello' })],
  ['no text', 'token_malformed', 'token', async () => ({ token: '' })],
  [
    'another algorithm than its key’s',
    'algorithm_refused',
    'algorithm',
    async (service) => ({ token: await resigned(service, 'channels', {}, { alg: 'HS512' }) }),
  ],
  [
    'a kid that no key has',
    'signing_key_unknown',
    'signing_key',
    async (service) => ({ token: await resigned(service, 'channels', {}, { kid: 'sig_0' }) }),
  ],
  [
    'the kid of a secret key that is not for local signing',
    'signing_key_unknown',
    'signing_key',
    async (service) => ({
      token: signToken(
        { ...partsOf(await mintToken(service, 'channels')).header, kid: service.made.keyId },
        {},
        service.made.secretKey,
      ),
    }),
  ],
  [
    'another’s signature',
    'signature_invalid',
    'signature',
    async (service) => {
      const { header, claims } = partsOf(await mintToken(service, 'channels'))
      return { token: signToken(header, claims, 'another secret') }
    },
  ],
  [
    'no typ',
    'token_malformed',
    'type',
    async (service) => ({ token: await resigned(service, 'channels', {}, { typ: undefined }) }),
  ],
  claims('channels', { iss: undefined }, 'issuer_wrong', 'issuer'),
  claims('channels', { iss: 7 }, 'issuer_wrong', 'issuer'),
  claims('channels', { iss: 'http://localhost:3000/environments/env_0' }, 'issuer_wrong', 'issuer'),
  claims('channels', { aud: undefined }, 'audience_wrong', 'audience'),
  claims('channels', { aud: 'env_0' }, 'audience_wrong', 'audience'),
  claims('channels', { aud: [] }, 'audience_wrong', 'audience'),
  claims('channels', { aud: ['env_0'] }, 'audience_wrong', 'audience'),
  claims('channels', { fmt: undefined }, 'token_malformed', 'format'),
  claims('channels', { fmt: 'turn' }, 'token_malformed', 'format'),
  claims('channels', { fmt: ['channels'] }, 'token_malformed', 'format'),
  claims('channels', { sub: undefined }, 'token_malformed', 'claims'),
  claims('channels', { sub: '' }, 'token_malformed', 'claims'),
  claims('channels', { jti: undefined }, 'token_malformed', 'claims'),
  claims('channels', { jti: 7 }, 'token_malformed', 'claims'),
  claims('channels', { client_id: undefined }, 'token_malformed', 'claims'),
  claims('channels', { channels: undefined }, 'token_malformed', 'claims'),
  claims('channels', { channels: 'room-*' }, 'token_malformed', 'claims'),
  claims('channels', { permissions: ['fly'] }, 'token_malformed', 'claims'),
  claims('channels', { metadata: [] }, 'token_malformed', 'claims'),
  claims('user', { name: undefined }, 'token_malformed', 'claims'),
  claims('client', { models: 'a' }, 'token_malformed', 'claims'),
  claims('client', { origins: null }, 'token_malformed', 'claims'),
  claims(
    'client',
    { constraints: { realtime: { maxSessionDuration: 'long' } } },
    'token_malformed',
    'claims',
  ),
  claims('peer', { ap: undefined }, 'token_malformed', 'claims'),
  claims('peer', { ap: '*' }, 'token_malformed', 'claims'),
  claims('channels', { exp: NOW - 10 }, 'token_expired', 'time'),
  claims('channels', { exp: NOW + 86_401 }, 'lifetime_too_long', 'lifetime'),
  claims('client', { exp: NOW + 3_601 }, 'lifetime_too_long', 'lifetime'),
  claims('channels', { iat: NOW + 11 }, 'lifetime_too_long', 'lifetime'),
  [
    'a revoked token',
    'token_revoked',
    'revocation',
    async (service) => {
      const token = await mintToken(service, 'channels')
      await service.revoke.revoke(service.made.environment.id, { jti: `${partsOf(token).claims.jti}` })
      return { token }
    },
  ],
  [
    'a token of an archived environment',
    'environment_archived',
    'environment',
    async (service) => {
      const token = await mintToken(service, 'channels')
      await archive(service)
      return { token }
    },
  ],
  [
    'a publishable key of an archived environment',
    'environment_archived',
    'environment',
    async (service) => {
      const { text } = await publishableKey(service, {})
      await archive(service)
      return { publishableKey: text }
    },
  ],
  [
    'a publishable key that nobody made',
    'publishable_key_unknown',
    'publishable_key',
    async () => ({ publishableKey: 'pk_live_0' }),
  ],
  [
    'a secret key in the place of a publishable one',
    'publishable_key_unknown',
    'publishable_key',
    async ({ made }) => ({ publishableKey: made.secretKey }),
  ],
  [
    'a publishable key of another environment',
    'environment_mismatch',
    'publishable_key_environment',
    async (service) => ({ publishableKey: await keyOfAnother(service) }),
  ],
  [
    'a token beside a publishable key of another environment',
    'environment_mismatch',
    'publishable_key_environment',
    async (service) => ({
      token: await mintToken(service, 'user'),
      publishableKey: await keyOfAnother(service),
    }),
  ],
  [
    'a revoked publishable key',
    'publishable_key_revoked',
    'publishable_key_state',
    async (service) => ({ publishableKey: await revokedKey(service) }),
  ],
  [
    'a token beside a revoked publishable key',
    'publishable_key_revoked',
    'publishable_key_state',
    async (service) => ({
      token: await mintToken(service, 'user'),
      publishableKey: await revokedKey(service),
    }),
  ],
  [
    'an expired publishable key',
    'publishable_key_revoked',
    'publishable_key_state',
    async (service) => {
      const { id, text } = await publishableKey(service, {})
      await service.keyLives.update(id, { expiresAt: service.seams.now() + 1 })
      service.seams.advance(1)
      await service.follower.refresh()
      return { publishableKey: text }
    },
  ],
  withKey('without channels', 'action_not_granted', 'access', { channels: [], allowedOrigins: [] }, {}),
  withKey('for another action', 'action_not_granted', 'action', {}, { ask: on('publish', 'room-1') }),
  withKey('for send', 'action_not_granted', 'action', {}, { ask: send }),
  withKey('for another channel', 'channel_not_granted', 'channel', {}, { ask: on('subscribe', 'a/room-1') }),
  withKey(
    'for a reserved channel',
    'channel_reserved',
    'channel',
    { channels: ['**'] },
    { ask: on('subscribe', '_metered/x') },
  ),
  withKey('for a group', 'ask_not_for_format', 'ask', {}, { ask: connect('g', 'p') }),
  withKey('for a model', 'ask_not_for_format', 'ask', {}, { ask: use('a') }),
  fromOrigin(['https://app.example.com'], undefined),
  fromOrigin(['https://app.example.com'], 'null'),
  fromOrigin(['https://app.example.com'], ''),
  fromOrigin(['https://app.example.com'], 'https://app.example.com:8443'),
  fromOrigin(['https://app.example.com'], 'http://app.example.com'),
  fromOrigin(['https://app.example.com'], 'HTTPS://APP.EXAMPLE.COM'),
  fromOrigin(['https://app.example.com'], 'https://app.example.com/'),
  fromOrigin(['https://app.example.com'], 'https://app.example.com.evil.example'),
  fromOrigin(['https://*.example.com'], 'https://example.com'),
  fromOrigin(['https://*.example.com'], 'https://evilexample.com'),
  fromOrigin(['https://*.example.com'], 'http://a.example.com'),
  fromOrigin(['https://*.example.com'], 'https://a.example.com:444'),
  fromOrigin(['https://*.example.com'], 'https://evil.example/.example.com'),
  fromOrigin(['https://*.example.com'], 'https://evil.example#.example.com'),
  fromOrigin(['https://*.example.com'], 'https://evil.example\\.example.com'),
  fromOrigin(['https://*.example.com'], 'https://evil@a.example.com'),
  fromOrigin(['https://*.example.com'], undefined),
  boundToOrigin(undefined),
  boundToOrigin('null'),
  boundToOrigin('*'),
  boundToOrigin('https://a.app.example.com'),
  boundToOrigin('https://app.example.com/'),
  asking('user', on('subscribe', 'room-1'), 'ask_not_for_format', 'ask'),
  asking('user', connect('g', 'p'), 'ask_not_for_format', 'ask'),
  asking('user', use('a'), 'ask_not_for_format', 'ask'),
  asking('channels', connect('g', 'p'), 'ask_not_for_format', 'ask'),
  asking('channels', use('a'), 'ask_not_for_format', 'ask'),
  asking('client', on('subscribe', 'room-1'), 'ask_not_for_format', 'ask'),
  asking('client', connect('g', 'p'), 'ask_not_for_format', 'ask'),
  asking('peer', on('subscribe', 'room-1'), 'ask_not_for_format', 'ask'),
  asking('peer', use('a'), 'ask_not_for_format', 'ask'),
  asking('channels', on('presence', 'room-1'), 'action_not_granted', 'action'),
  asking('channels', send, 'action_not_granted', 'action', { permissions: ['publish'] }),
  asking('channels', on('subscribe', 'lobby'), 'channel_not_granted', 'channel'),
  asking('channels', on('subscribe', 'room-1/a'), 'channel_not_granted', 'channel'),
  asking('channels', on('subscribe', 'Room-1'), 'channel_not_granted', 'channel'),
  asking('channels', on('subscribe', 'room-1'), 'channel_not_granted', 'channel', { channels: [] }),
  asking('channels', on('subscribe', 'xroom-1'), 'channel_not_granted', 'channel', {
    channels: ['*oom-\\*'],
  }),
  ...['_metered/', '_internal/a', '_system/a/b'].map((channel) =>
    asking('channels', on('subscribe', channel), 'channel_reserved', 'channel', { channels: ['**'] }),
  ),
  asking('peer', connect('h', 'user-1'), 'group_not_granted', 'group'),
  asking('peer', connect('g', 'User-1'), 'peer_not_granted', 'peer'),
  asking('peer', connect('g', 'p'), 'group_not_granted', 'group', { allowPolicy: undefined }),
  asking('client', use('b'), 'model_not_granted', 'model'),
  asking('client', use('a'), 'model_not_granted', 'model', { allowedModels: [] }),
]

async function archive({ environments, made, follower }: TestService): Promise<void> {
  await environments.update(made.environment.id, { archived: true })
  await follower.refresh()
}

async function keyOfAnother(service: TestService): Promise<string> {
  const { environment } = await service.environments.create(`Not ${service.made.environment.id}`)
  return (await publishableKey(service, {}, environment.id)).text
}

async function revokedKey(service: TestService): Promise<string> {
  const { id, text } = await publishableKey(service, {})
  await service.keyLives.revoke(id)
  await service.follower.refresh()
  return text
}

describe('the gate refuses', () => {
  for (const [what, code, check, present] of refused) {
    it(`${what}: ${code}`, async () => {
      const service = await fresh()
      const answer = await verify(service, await present(service))
      assert.ok(!answer.allowed)
      assert.deepEqual([answer.code, answer.closeCode], [code, gateCodes[code]])
      const last = answer.checks.at(-1)
      assert.deepEqual(last, { check, ok: false, detail: answer.detail })
      assert.ok(answer.checks.slice(0, -1).every(({ ok }) => ok))
      assert.match(answer.detail, /^[A-Z].*\.$/)
    })
  }

  it('with every code that there is', () => {
    const produced = new Set(refused.map(([, code]) => code))
    assert.deepEqual(
      Object.keys(gateCodes).filter((code) => ![...produced].some((one) => one === code)),
      [],
    )
  })

  it('with 4002 for expiry alone, so that nobody fetches a new token in vain', () => {
    const expired = Object.entries(gateCodes).filter(([, closeCode]) => closeCode === 4002)
    assert.deepEqual(expired, [['token_expired', 4002]])
    const channel = Object.entries(gateCodes).filter(([, closeCode]) => closeCode === 4003)
    assert.deepEqual(
      channel.map(([code]) => code),
      ['channel_not_granted', 'channel_reserved'],
    )
  })
})

describe('an origin is let in', () => {
  const admitted: [readonly string[], string | undefined][] = [
    [['https://app.example.com'], 'https://app.example.com'],
    [['https://a', 'http://localhost:5173'], 'http://localhost:5173'],
    [['https://*.example.com'], 'https://a.example.com'],
    [['https://*.example.com'], 'https://a.b.example.com'],
    [['https://*.example.com:8443'], 'https://a.example.com:8443'],
    [['*'], undefined],
    [['*'], 'null'],
    [['*'], 'https://any.example'],
  ]
  for (const [allowedOrigins, origin] of admitted) {
    it(`where a publishable key is for ${allowedOrigins} and it is ${origin}`, async () => {
      const service = await fresh()
      const { text } = await publishableKey(service, { allowedOrigins })
      assert.equal(await verdictOf(service, { publishableKey: text, origin }), 'allowed')
    })
  }

  it('whatever it is, beside a token, where a publishable key names none', async () => {
    const service = await fresh()
    const { text } = await publishableKey(service, { channels: [], allowedOrigins: [] })
    const token = await mintToken(service, 'user')
    for (const origin of [undefined, 'null', 'https://any.example']) {
      assert.equal(await verdictOf(service, { token, publishableKey: text, origin }), 'allowed')
    }
  })

  it('whatever it is, where a client token names none', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client')
    for (const origin of [undefined, 'null', 'https://any.example']) {
      assert.equal(await verdictOf(service, { token, origin }), 'allowed')
    }
  })

  it('where a client token names it', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client', { allowedOrigins: ['https://a', 'https://b'] })
    assert.equal(await verdictOf(service, { token, origin: 'https://b' }), 'allowed')
  })
})

describe('beside a token, a publishable key', () => {
  it('is asked for its state and origin alone, and the token for what it grants', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'channels')
    const { text } = await publishableKey(service, {
      channels: ['lobby'],
      actions: ['presence'],
      allowedOrigins: ['https://a'],
    })
    const both = { token, publishableKey: text, origin: 'https://a' }
    assert.equal(await verdictOf(service, { ...both, ask: on('publish', 'room-1') }), 'allowed')
    assert.equal(await verdictOf(service, { ...both, ask: on('publish', 'lobby') }), 'channel_not_granted')
    assert.equal(await verdictOf(service, { ...both, ask: on('presence', 'lobby') }), 'action_not_granted')
    assert.equal(await verdictOf(service, { ...both, origin: 'https://b' }), 'origin_not_allowed')
    const answer = await verify(service, both)
    assert.ok(answer.allowed)
    assert.deepEqual([answer.format, answer.subject], ['channels', 'alice'])
    const rules = ['publishable_key', 'publishable_key_environment', 'publishable_key_state', 'origin']
    assert.deepEqual(
      answer.checks.map(({ check }) => check),
      [...TOKEN_RULES, ...LIFE_RULES, ...rules],
    )
  })

  it('does not make up for a token’s own origins', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'client', { allowedOrigins: ['https://a'] })
    const { text } = await publishableKey(service, { allowedOrigins: ['*'] })
    const both = { token, publishableKey: text }
    assert.equal(await verdictOf(service, both), 'origin_not_allowed')
    assert.equal(await verdictOf(service, { ...both, origin: 'https://a' }), 'allowed')
  })

  it('does not make up for a token that is refused', async () => {
    const service = await fresh()
    const { text } = await publishableKey(service, {})
    assert.equal(await verdictOf(service, { token: 'x', publishableKey: text }), 'token_malformed')
  })
})

describe('time', () => {
  it('ends a token 10 seconds after it expires, to the second', async (t) => {
    const service = await build(t)
    for (const format of FORMAT_NAMES) {
      await service.follower.refresh()
      const token = await mintToken(service, format)
      const lifeMs = (Number(partsOf(token).claims.exp) + 10) * 1000 - service.seams.now()
      service.seams.advance(lifeMs - 1)
      assert.equal(await verdictOf(service, { token }), 'allowed', format)
      service.seams.advance(1)
      assert.equal(await verdictOf(service, { token }), 'token_expired', format)
    }
  })

  it('lets in what was issued up to 10 seconds ahead, to the second', async (t) => {
    const service = await build(t)
    const ahead = (iat: number) => resigned(service, 'channels', { iat, exp: iat + 60 })
    const [near, far] = [await ahead(NOW + 10), await ahead(NOW + 11)]
    assert.equal(await verdictOf(service, { token: near }), 'allowed')
    assert.equal(await verdictOf(service, { token: far }), 'lifetime_too_long')
    service.seams.advance(1_000)
    assert.equal(await verdictOf(service, { token: far }), 'allowed')
  })

  it('does not outlive the longest that the format allows, to the second', async (t) => {
    const service = await build(t)
    for (const [format, longest] of [
      ['user', 86_400],
      ['channels', 86_400],
      ['client', 3_600],
      ['peer', 86_400],
    ] as const) {
      const living = (seconds: number) => resigned(service, format, { exp: NOW + seconds })
      assert.equal(await verdictOf(service, { token: await living(longest) }), 'allowed')
      assert.equal(await verdictOf(service, { token: await living(longest + 1) }), 'lifetime_too_long')
    }
  })

  it('leaves a token its life when the environment’s longest is cut later', async (t) => {
    const service = await build(t)
    const token = await mintToken(service, 'channels', { expiresInSec: 3_600 })
    await service.environments.update(service.made.environment.id, {
      settings: { lifetimes: { channels: { longestSeconds: 60, defaultSeconds: 60 } } },
    })
    await service.follower.refresh()
    assert.equal(await verdictOf(service, { token }), 'allowed')
  })
})

describe('the spelling with ek_', () => {
  it('is for client tokens alone', async () => {
    const service = await fresh()
    for (const format of FORMAT_NAMES) {
      const token = await mintToken(service, format)
      const verdict = await verdictOf(service, { token: `ek_${token}` })
      assert.equal(verdict, format === 'client' ? 'allowed' : 'token_malformed', format)
      assert.equal(await verdictOf(service, { token: `ek_ek_${token}` }), 'token_malformed')
      assert.equal(await verdictOf(service, { token: `EK_${token}` }), 'token_malformed')
    }
  })
})

describe('an environment that was archived and is restored', () => {
  it('lets its tokens in again', async () => {
    const service = await fresh()
    const token = await mintToken(service, 'channels')
    await archive(service)
    assert.equal(await verdictOf(service, { token }), 'environment_archived')
    await service.environments.update(service.made.environment.id, { archived: false })
    await service.follower.refresh()
    assert.equal(await verdictOf(service, { token }), 'allowed')
  })
})
