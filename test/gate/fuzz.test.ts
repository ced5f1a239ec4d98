import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { build, type TestService } from '../helpers/app.ts'
import { inFull } from '../helpers/scale.ts'
import { seededChance } from '../helpers/seams.ts'
import { encodePart, FORMAT_NAMES, makeLocalKey, mintToken, partsOf, signToken } from '../helpers/tokens.ts'

/** How many tokens are tried; a hundred thousand in npm run test:long. */
const MUTATIONS = inFull(100_000, 10_000)
const OVER_HTTP = 200

type Chance = (below: number) => number
type Mutation = (token: string, chance: Chance, others: readonly string[]) => string

const DIGITS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
const STRANGE = ['=', '+', '/', '.', ' ', '\n', '\u0000', 'é', '\ud83d', '\ufeff', '%2E', '"', '\\', ',']

const at = <T>(list: readonly T[], chance: Chance) => list[chance(list.length)]
const splice = (text: string, from: number, to: number, put: string) =>
  text.slice(0, from) + put + text.slice(to)
const partAt = (token: string, index: number) => token.split('.')[index] ?? ''
const withPart = (token: string, index: number, part: string) => token.split('.').with(index, part).join('.')

/** Changes one bit of the bytes that a part stands for, and writes them in their one right spelling. */
const flipBit: Mutation = (token, chance) => {
  const index = chance(3)
  const bytes = Buffer.from(partAt(token, index), 'base64url')
  const place = chance(bytes.length)
  bytes[place] = (bytes[place] ?? 0) ^ (1 << chance(8))
  return withPart(token, index, bytes.toString('base64url'))
}

const MEMBERS = [
  'alg',
  'kid',
  'typ',
  'crit',
  'jwk',
  'sub',
  'iss',
  'aud',
  'exp',
  'iat',
  'jti',
  'fmt',
  'channels',
]
const VALUES = [undefined, null, 'none', 'HS256', 'EdDSA', 'bob', 0, 1e12, ['**'], {}, [], true, 'client']

/** Writes a member of the header or the payload anew, and keeps the signature. */
const editMember: Mutation = (token, chance) => {
  const index = chance(2)
  const { header, claims } = partsOf(token)
  const part = { ...(index === 0 ? header : claims), [at(MEMBERS, chance) ?? '']: at(VALUES, chance) }
  return withPart(token, index, encodePart(part))
}

const cut: Mutation = (token, chance) => token.slice(0, chance(token.length))

/** What can be done to any text. */
const textMutations: readonly Mutation[] = [
  (token, chance) => {
    const place = chance(token.length)
    return splice(token, place, place + 1, at(DIGITS, chance) ?? '')
  },
  (token, chance) => {
    const place = chance(token.length + 1)
    return splice(token, place, place + chance(2), at(STRANGE, chance) ?? '')
  },
  cut,
  (token, chance) => token.slice(chance(token.length)),
  (token, chance) => {
    const from = chance(token.length)
    return splice(token, from, from + 1 + chance(40), '')
  },
  (token, chance) => {
    const from = chance(token.length)
    return splice(token, from, from, token.slice(from, from + 1 + chance(80)))
  },
]

const mutations: readonly Mutation[] = [
  flipBit,
  flipBit,
  editMember,
  editMember,
  ...textMutations,
  // The beginning of one token and the end of another one.
  (token, chance, others) => {
    const other = at(others, chance) ?? ''
    return token.slice(0, chance(token.length)) + other.slice(chance(other.length))
  },
  // One part of another token.
  (token, chance, others) => {
    const index = chance(3)
    return withPart(token, index, partAt(at(others, chance) ?? '', index))
  },
  (token, chance) =>
    token
      .split('.')
      .toSorted(() => chance(3) - 1)
      .join('.'),
  (token) => token.replaceAll('-', '+').replaceAll('_', '/'),
  (token, chance) => token + '='.repeat(1 + chance(3)),
  (token, chance) => withPart(token, chance(3), `${partAt(token, chance(3))}=`),
  (token, chance) => Array.from({ length: 1 + chance(4) }, () => 'ek_').join('') + token,
  (token, chance) =>
    Array.from(token, (letter) => (chance(50) === 0 ? letter.toUpperCase() : letter)).join(''),
  (_token, chance) => Array.from({ length: chance(400) }, () => at([...DIGITS, ...STRANGE], chance)).join(''),
  (token, chance) => token.repeat(2 + chance(40)),
]

/** Good tokens of every format, by either algorithm, and one that a backend signed by itself. */
async function goodTokens(service: TestService): Promise<string[]> {
  const tokens: string[] = []
  for (const signingAlgorithm of ['HS256', 'EdDSA'] as const) {
    await service.environments.update(service.made.environment.id, { signingAlgorithm })
    await service.follower.refresh()
    for (const format of FORMAT_NAMES) tokens.push(await mintToken(service, format))
  }
  const { id, text } = await makeLocalKey(service)
  const iat = service.seams.now() / 1000
  const claims = { sub: 'alice', iat, exp: iat + 60, channels: ['a'], permissions: ['publish'] }
  return [...tokens, signToken({ alg: 'HS256', kid: id }, claims, text)]
}

/** Whether a text is one of the good tokens: a mutation may put one back together. */
function isGood(text: string, tokens: readonly string[]): boolean {
  return tokens.some((token) => {
    const isClient = partsOf(token).claims.fmt === 'client'
    return text === token || (isClient && text === `ek_${token}`)
  })
}

/** One change, or several; what is no token any more is only changed as a text. */
function mutate(tokens: readonly string[], chance: Chance): string {
  let text = (at(mutations, chance) ?? flipBit)(at(tokens, chance) ?? '', chance, tokens)
  while (chance(4) === 0) text = (at(textMutations, chance) ?? cut)(text, chance, tokens)
  return text
}

describe('a changed token', () => {
  it(`is refused, ${MUTATIONS} times`, async (t) => {
    const chance = seededChance(t)
    const service = await build(t)
    const tokens = await goodTokens(service)
    const codes = new Map<string, number>()
    for (const token of tokens) assert.equal(ask(service, token), 'allowed')
    for (let count = 0; count < MUTATIONS; count += 1) {
      const text = mutate(tokens, chance)
      const verdict = ask(service, text)
      codes.set(verdict, (codes.get(verdict) ?? 0) + 1)
      if (verdict === 'allowed') assert.ok(isGood(text, tokens), text)
    }
    t.diagnostic(JSON.stringify(Object.fromEntries(codes)))
    // It would be no test if all of them were no tokens at all.
    for (const code of ['token_malformed', 'signing_key_unknown', 'algorithm_refused', 'signature_invalid']) {
      assert.ok((codes.get(code) ?? 0) > MUTATIONS / 1_000, code)
    }
  })

  it(`is answered over HTTP with 200, ${OVER_HTTP} times, and with active false`, async (t) => {
    const chance = seededChance(t)
    const service = await build(t)
    const tokens = await goodTokens(service)
    for (let count = 0; count < OVER_HTTP; count += 1) {
      const token = mutate(tokens, chance)
      const reply = await service.post('/v1/verify', { token })
      assert.equal(reply.statusCode, 200, reply.body)
      assert.equal(reply.json().allowed, isGood(token, tokens), token)
      if (token === '') continue
      const found = await service.server.inject({
        method: 'POST',
        url: '/v1/introspect',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          authorization: `Bearer ${service.made.secretKey}`,
        },
        payload: new URLSearchParams({ token }).toString(),
      })
      assert.equal(found.statusCode, 200, found.body)
      assert.equal(found.json().active, isGood(token, tokens), token)
    }
  })
})

function ask({ gate, made }: TestService, token: string): string {
  const answer = gate.verify(made.environment, {
    token,
    publishableKey: undefined,
    origin: undefined,
    ask: undefined,
  })
  return answer.allowed ? 'allowed' : answer.code
}
