import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, it } from 'node:test'
import type { GateCode } from '../../src/domain/verdict.ts'
import { channels } from '../../src/formats/channels.ts'
import { peer } from '../../src/formats/peer.ts'
import { user } from '../../src/formats/user.ts'
import { privateKeyOfPeerSecret } from '../../src/keys/peer-secret.ts'
import { build, buildOnce, type TestService } from '../helpers/app.ts'
import {
  encodePart,
  FORMAT_NAMES,
  materialOf,
  mintToken,
  partsOf,
  type SigningMaterial,
  signatureOf,
  signToken,
} from '../helpers/tokens.ts'

async function verdictOf(
  { gate, store, made }: TestService,
  token: string,
  environmentId = made.environment.id,
) {
  const environment = await store.findEnvironment(environmentId)
  assert.ok(environment)
  const answer = gate.verify(environment, {
    token,
    publishableKey: undefined,
    origin: undefined,
    ask: undefined,
  })
  return answer.allowed ? 'allowed' : answer.code
}

/** A good token taken apart, with what signs it. */
interface Good {
  readonly service: TestService
  readonly token: string
  readonly header: object
  readonly claims: Readonly<Record<string, unknown>>
  readonly input: string
  readonly signature: string
  readonly material: SigningMaterial
}

async function good(service: TestService, format: (typeof FORMAT_NAMES)[number] = 'channels'): Promise<Good> {
  const token = await mintToken(service, format)
  const { header, claims } = partsOf(token)
  const [encodedHeader, payload, signature = ''] = token.split('.')
  const { material } = await materialOf(service, header.alg === 'HS256' ? 'HS256' : 'EdDSA')
  return { service, token, header, claims, input: `${encodedHeader}.${payload}`, signature, material }
}

/** The same token with another header, signed by its own key: what only its issuer could make. */
const withHeader = ({ header, claims, material }: Good, more: object) =>
  signToken({ ...header, ...more }, claims, material)

const withClaims = ({ header, claims, material }: Good, more: object) =>
  signToken(header, { ...claims, ...more }, material)

/** A part of which the bytes are these, signed by the token's own key. */
const withRawHeader = ({ claims, material }: Good, bytes: Uint8Array) => signToken(bytes, claims, material)
const withRawClaims = ({ header, material }: Good, bytes: Uint8Array) => signToken(header, bytes, material)

const text = (value: unknown) => Buffer.from(JSON.stringify(value))

// What is refused leaves nothing behind.
const shared = buildOnce({ RATE_LIMIT_SUBJECT: '100000/1m' })

function refuses(
  what: string,
  code: GateCode,
  forge: (token: Good) => string | Promise<string>,
  format: (typeof FORMAT_NAMES)[number] = 'channels',
): void {
  it(`refuses ${what} with ${code}`, async () => {
    const service = shared()
    const token = await good(service, format)
    assert.equal(await verdictOf(service, token.token), 'allowed')
    assert.equal(await verdictOf(service, await forge(token)), code)
  })
}

describe('RFC 8725 §2.1, §3.1: the algorithm is the key’s, never the token’s', () => {
  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    'HS384',
    'HS512',
    'hs256',
    'EdDSA',
    'RS256',
    'Ed25519',
    '',
  ]) {
    refuses(`alg ${JSON.stringify(alg)} on a key of HS256`, 'algorithm_refused', (token) =>
      withHeader(token, { alg }),
    )
  }
  for (const alg of ['none', 'HS256', 'ES256', 'eddsa', 'Ed25519']) {
    refuses(
      `alg ${alg} on a key of EdDSA`,
      'algorithm_refused',
      (token) => withHeader(token, { alg }),
      'peer',
    )
  }
  for (const alg of ['none', 'NONE', 'HS256']) {
    refuses(`alg ${alg} without a signature`, 'token_malformed', ({ header, claims }) => {
      return `${encodePart({ ...header, alg })}.${encodePart(claims)}.`
    })
  }
  for (const alg of [undefined, null, 7, ['HS256'], { HS256: 1 }]) {
    refuses(`an alg that is ${JSON.stringify(alg)}`, 'token_malformed', (token) => withHeader(token, { alg }))
  }

  // RFC 8725 §2.1: whoever holds the public key could sign, if a verifier took it for the secret of an HMAC.
  const spellings: [string, (jwk: { x: string }, key: KeyObject) => string | Buffer][] = [
    ['its raw bytes', ({ x }) => Buffer.from(x, 'base64url')],
    ['its base64url', ({ x }) => x],
    ['its SPKI in PEM', (_, key) => key.export({ type: 'spki', format: 'pem' })],
    ['its SPKI in PEM, trimmed', (_, key) => String(key.export({ type: 'spki', format: 'pem' })).trim()],
    ['its SPKI in DER', (_, key) => key.export({ type: 'spki', format: 'der' })],
    ['its JWK as JSON', (jwk) => JSON.stringify(jwk)],
  ]
  for (const [what, spell] of spellings) {
    refuses(
      `HS256 keyed with the public key, as ${what},`,
      'algorithm_refused',
      async ({ service, header, claims }) => {
        const jwk = JSON.parse((await materialOf(service, 'EdDSA')).publicJwk ?? '')
        const secret = spell(jwk, createPublicKey({ key: jwk, format: 'jwk' }))
        return signToken({ ...header, alg: 'HS256' }, claims, secret)
      },
      'peer',
    )
  }
})

describe('RFC 8725 §3.10: a token brings neither its key nor rules of its own', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const members: [string, unknown][] = [
    ['crit', ['exp']],
    ['crit', []],
    ['crit', null],
    ['b64', false],
    ['b64', true],
    ['jwk', publicKey.export({ format: 'jwk' })],
    ['jku', 'https://keys.example/jwks.json'],
    ['x5u', 'https://keys.example/chain.pem'],
    ['x5c', ['MIIB']],
    ['enc', 'A256GCM'],
    ['zip', 'DEF'],
  ]
  for (const [name, value] of members) {
    refuses(
      `${name}: ${JSON.stringify(value).slice(0, 40)}, though it is well signed,`,
      'token_malformed',
      (token) => withHeader(token, { [name]: value }),
    )
  }

  refuses(
    'a token that is signed with the key that it brings',
    'token_malformed',
    ({ header, claims }) =>
      signToken({ ...header, jwk: publicKey.export({ format: 'jwk' }) }, claims, privateKey),
    'peer',
  )

  for (const kid of [undefined, '', null, 7, ['x'], { $ne: '' }]) {
    refuses(`a kid that is ${JSON.stringify(kid)}`, 'token_malformed', (token) => withHeader(token, { kid }))
  }
  for (const kid of ['../../etc/passwd', "' OR 1=1 --", '__proto__', 'constructor', 'a\u0000b']) {
    refuses(`the kid ${JSON.stringify(kid)}`, 'signing_key_unknown', (token) => withHeader(token, { kid }))
  }
  for (const typ of ['at+jwt', 'JWE', '', 7, null, ['JWT']]) {
    refuses(`typ ${JSON.stringify(typ)}`, 'token_malformed', (token) => withHeader(token, { typ }))
  }
})

describe('RFC 8725 §3.8: a key is one environment’s own', () => {
  it('refuses the token of another environment by its kid', async (t) => {
    const service = await build(t)
    const { environment } = await service.environments.create('Another')
    await service.follower.refresh()
    for (const format of FORMAT_NAMES) {
      const token = await mintToken(service, format)
      assert.equal(await verdictOf(service, token, environment.id), 'signing_key_unknown')
    }
  })

  it('keeps two environments apart that imported keys with the same kid', async (t) => {
    const service = await build(t)
    const { environment } = await service.environments.create('Another')
    const secrets = {
      here: 'a secret of at least 32 bytes: here',
      there: 'a secret of at least 32 bytes: there',
    }
    const kid = 'same'
    const here = service.made.environment.id
    const imports = [
      [here, secrets.here],
      [environment.id, secrets.there],
    ] as const
    for (const [environmentId, secret] of imports) {
      await service.environments.importSigningKey({ environmentId, kid, format: channels }, secret)
    }
    await service.follower.refresh()
    const token = await mintToken(service, 'channels')
    const { header, claims } = partsOf(token)
    assert.equal(header.kid, kid)
    assert.equal(await verdictOf(service, token), 'allowed')
    assert.equal(await verdictOf(service, token, environment.id), 'signature_invalid')
    const stolen = signToken(header, claims, secrets.there)
    assert.equal(await verdictOf(service, stolen), 'signature_invalid')
    // Even whoever signs for both cannot take a token from one to the other.
    assert.equal(await verdictOf(service, stolen, environment.id), 'issuer_wrong')
    const iss = `http://x/environments/${environment.id}`
    const renamed = signToken(header, { ...claims, iss }, secrets.there)
    assert.equal(await verdictOf(service, renamed, environment.id), 'audience_wrong')
  })

  it('refuses to import a key under the id of a secret key of the environment', async (t) => {
    const service = await build(t)
    const { made } = service
    const secret = 'a secret of at least 32 bytes: here'
    const identity = { environmentId: made.environment.id, kid: made.keyId, format: channels }
    await assert.rejects(service.environments.importSigningKey(identity, secret), { error: 'conflict' })
    const another = await service.environments.create('Another')
    await service.environments.importSigningKey(
      { ...identity, environmentId: another.environment.id },
      secret,
    )
  })
})

describe('RFC 8725 §3.11, §3.12: a token of one kind is never taken for another', () => {
  const seed = `sk_${'07'.repeat(32)}`
  const secret = 'a secret of at least 32 bytes: here'

  it('refuses what an imported key signs for another format', async (t) => {
    const service = await build(t)
    const environmentId = service.made.environment.id
    const imports = [
      ['channels', channels, secret, secret],
      ['user', user, secret, secret],
      ['peer', peer, seed, privateKeyOfPeerSecret(seed)],
    ] as const
    for (const [kid, format, imported] of imports) {
      await service.environments.importSigningKey({ environmentId, kid, format }, imported)
    }
    await service.follower.refresh()
    const tokens = new Map<string, string>()
    for (const format of FORMAT_NAMES) tokens.set(format, await mintToken(service, format))
    for (const [kid, own, , material] of imports) {
      for (const format of FORMAT_NAMES) {
        const { header, claims } = partsOf(tokens.get(format) ?? '')
        const forged = signToken({ ...header, alg: own.algorithm, kid }, claims, material)
        const verdict = format === own.name ? 'allowed' : 'signing_key_unknown'
        assert.equal(await verdictOf(service, forged), verdict, `${kid} for ${format}`)
      }
    }
  })

  // A client token may leave all of its own claims out, so that there is nothing in another one that could be wrong.
  for (const to of ['user', 'channels', 'peer']) {
    for (const from of FORMAT_NAMES) {
      if (from === to) continue
      refuses(
        `a ${from} token whose fmt says ${to}`,
        'token_malformed',
        (token) => withClaims(token, { fmt: to }),
        from,
      )
    }
  }
})

describe('RFC 8725 §3.2: a token has one spelling', () => {
  const around: [string, (token: string) => string][] = [
    ['a space before', (token) => ` ${token}`],
    ['a space behind', (token) => `${token} `],
    ['a line’s end behind', (token) => `${token}\n`],
    ['a line’s end between', (token) => token.replace('.', '\n.')],
    ['a byte order mark before', (token) => `\ufeff${token}`],
    ['a zero byte behind', (token) => `${token}\u0000`],
    ['a dot before', (token) => `.${token}`],
    ['a dot behind', (token) => `${token}.`],
    ['two dots', (token) => token.replace('.', '..')],
    ['a fourth part', (token) => `${token}.e30`],
    ['five parts, as a JWE', (token) => `${token}.e30.e30`],
    ['Bearer before', (token) => `Bearer ${token}`],
    ['quotes around', (token) => `"${token}"`],
    ['a % escape', (token) => token.replace('.', '%2E')],
    ['padding', (token) => `${token}=`],
    ['padding behind the header', (token) => token.replace('.', '=.')],
    ['no signature', (token) => token.slice(0, token.lastIndexOf('.') + 1)],
    ['two parts', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['a full-width dot', (token) => token.replace('.', '．')],
    ['no header', (token) => token.slice(token.indexOf('.'))],
  ]
  for (const [what, change] of around) {
    refuses(`a token with ${what}`, 'token_malformed', ({ token }) => change(token))
  }

  it('refuses every other spelling of a signature’s last bits', async (t) => {
    const service = await build(t)
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const format of FORMAT_NAMES) {
      const { token, signature } = await good(service, format)
      let sameBytes = 0
      for (const digit of digits) {
        const other = signature.slice(0, -1) + digit
        if (other === signature) continue
        const isSame = Buffer.from(other, 'base64url').equals(Buffer.from(signature, 'base64url'))
        if (isSame) sameBytes += 1
        const verdict = await verdictOf(service, token.slice(0, -1) + digit)
        assert.equal(verdict, isSame ? 'token_malformed' : verdict)
        assert.notEqual(verdict, 'allowed')
      }
      // An HMAC's 32 bytes leave 2 bits over, an Ed25519 signature's 64 bytes leave 4.
      assert.equal(sameBytes, partsOf(token).header.alg === 'HS256' ? 3 : 15)
    }
  })

  it('refuses the alphabet of plain base64', async (t) => {
    const service = await build(t)
    let seen = 0
    // Every signature of 64 bytes has either of the two digits with a chance of nine in ten.
    for (let round = 0; round < 10; round += 1) {
      const { token } = await good(service, 'peer')
      const plain = token.replaceAll('-', '+').replaceAll('_', '/')
      if (plain === token) continue
      seen += 1
      assert.equal(await verdictOf(service, plain), 'token_malformed')
    }
    assert.ok(seen > 0)
  })
})

describe('what is no JSON object', () => {
  const parts: [string, Uint8Array][] = [
    ['an array', text([{ alg: 'HS256' }])],
    ['null', text(null)],
    ['a number', text(7)],
    ['a string', text('{}')],
    ['true', text(true)],
    ['a string of JSON', text('{"alg":"HS256"}')],
    ['half an object', Buffer.from('{"alg":')],
    ['two objects', Buffer.from('{}{}')],
    ['an object and a comma', Buffer.from('{"a":1,}')],
    ['an object with single quotes', Buffer.from("{'a':1}")],
    ['an object with NaN', Buffer.from('{"exp":NaN}')],
    ['an object with Infinity', Buffer.from('{"exp":Infinity}')],
    ['an object with a hexadecimal number', Buffer.from('{"exp":0x7fffffff}')],
    ['a comment', Buffer.from('/**/{}')],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['UTF-8 that is cut', Buffer.from([0x7b, 0x22, 0xc3, 0x22, 0x3a, 0x31, 0x7d])],
    ['an overlong encoding', Buffer.from([0x7b, 0x22, 0xc0, 0xa2, 0x22, 0x3a, 0x31, 0x7d])],
    ['a surrogate in UTF-8', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d])],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
    ['a deep nest that never ends', Buffer.from('['.repeat(5_000))],
  ]
  for (const [what, bytes] of parts) {
    refuses(`a header of ${what}`, 'token_malformed', (token) => withRawHeader(token, bytes))
    refuses(`a payload of ${what}`, 'token_malformed', (token) => withRawClaims(token, bytes))
  }
  refuses('a byte order mark before the header', 'token_malformed', (token) =>
    withRawHeader(token, Buffer.concat([Buffer.from('\ufeff'), text(token.header)])),
  )
  refuses('a byte order mark before the payload', 'token_malformed', (token) =>
    withRawClaims(token, Buffer.concat([Buffer.from('\ufeff'), text(token.claims)])),
  )
  refuses('an empty header', 'token_malformed', ({ claims, material }) => signToken({}, claims, material))
  refuses('an empty payload', 'issuer_wrong', ({ header, material }) => signToken(header, {}, material))

  // RFC 7519 §4: the last one counts, for everyone who reads the token.
  const doubled = (object: object, first: string) =>
    Buffer.from(`{${first},${JSON.stringify(object).slice(1)}`)
  it('takes the last of a member that stands there twice, and nothing of the first', async (t) => {
    const service = await build(t)
    const token = await good(service)
    assert.equal(
      await verdictOf(service, withRawHeader(token, doubled(token.header, '"alg":"none"'))),
      'allowed',
    )
    assert.equal(
      await verdictOf(
        service,
        withRawHeader(token, Buffer.from(`${JSON.stringify(token.header).slice(0, -1)},"alg":"none"}`)),
      ),
      'algorithm_refused',
    )
    assert.equal(
      await verdictOf(
        service,
        withRawClaims(token, Buffer.from(`${JSON.stringify(token.claims).slice(0, -1)},"exp":1}`)),
      ),
      'token_expired',
    )
    assert.equal(await verdictOf(service, withRawClaims(token, doubled(token.claims, '"exp":1'))), 'allowed')
  })

  it('reads a member __proto__ as a member and nothing more', async (t) => {
    const service = await build(t)
    const token = await good(service)
    const bytes = Buffer.from(`{"__proto__":{"kid":"x"},${JSON.stringify(token.header).slice(1)}`)
    assert.equal(await verdictOf(service, withRawHeader(token, bytes)), 'allowed')
    const { kid, ...rest } = { kid: '', ...token.header }
    const inherited = Buffer.from(
      `{"__proto__":${JSON.stringify({ kid: partsOf(token.token).header.kid })},${JSON.stringify(rest).slice(1)}`,
    )
    assert.equal(kid, partsOf(token.token).header.kid)
    assert.equal(await verdictOf(service, withRawHeader(token, inherited)), 'token_malformed')
  })
})

describe('times that are none', () => {
  const raw = ({ header, claims, material }: Good, name: string, number: string) => {
    const { [name]: _, ...rest } = claims
    return signToken(header, Buffer.from(`{"${name}":${number},${JSON.stringify(rest).slice(1)}`), material)
  }
  for (const name of ['exp', 'iat']) {
    for (const number of [
      'null',
      '"1795320000"',
      '-1',
      '1e400',
      '1.5',
      '9007199254740992',
      'true',
      '[1]',
      '{}',
      '-1e400',
    ]) {
      refuses(`${name} ${number}`, 'token_malformed', (token) => raw(token, name, number))
    }
    refuses(`no ${name}`, 'token_malformed', (token) => withClaims(token, { [name]: undefined }))
  }
  refuses('exp 9007199254740991', 'lifetime_too_long', (token) => raw(token, 'exp', '9007199254740991'))
  refuses('iat 9007199254740991', 'lifetime_too_long', (token) => raw(token, 'iat', '9007199254740991'))
  refuses('iat 0', 'lifetime_too_long', (token) => raw(token, 'iat', '0'))
  refuses('exp 0', 'token_expired', (token) => raw(token, 'exp', '0'))
  refuses('exp -0', 'token_expired', (token) => raw(token, 'exp', '-0'))
})

describe('a token that is too long', () => {
  it('is malformed before anything of it is read', async (t) => {
    const service = await build(t)
    const { header, claims, material, token } = await good(service)
    const fill = (bytes: number) =>
      signToken(header, { ...claims, metadata: { fill: 'x'.repeat(bytes) } }, material)
    assert.equal(await verdictOf(service, fill(10_000)), 'allowed')
    assert.equal(await verdictOf(service, fill(13_000)), 'token_malformed')
    assert.equal(await verdictOf(service, fill(1_000_000)), 'token_malformed')
    assert.equal(await verdictOf(service, token + 'A'.repeat(1_000_000)), 'token_malformed')
    assert.equal(await verdictOf(service, '.'.repeat(1_000_000)), 'token_malformed')
    assert.equal(await verdictOf(service, 'ek_'.repeat(300_000)), 'token_malformed')
  })
})

describe('an Ed25519 signature (RFC 8032 §5.1.7)', () => {
  // The order of the group, little endian: S + L signs the same with the same key, if nobody compares S with L.
  const L = 2n ** 252n + 27742317777372353535851937790883648493n
  const toNumber = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
  const toBytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse()

  const signatures: [string, (signature: Buffer) => Buffer][] = [
    [
      'whose S has the group’s order added',
      (signature) =>
        Buffer.concat([signature.subarray(0, 32), toBytes(toNumber(signature.subarray(32)) + L)]),
    ],
    ['of zeros', () => Buffer.alloc(64)],
    ['of the neutral element and zero', () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])],
    [
      'of a point of small order and zero',
      () =>
        Buffer.concat([
          Buffer.from('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'hex'),
          Buffer.alloc(32),
        ]),
    ],
    ['of 63 bytes', (signature) => signature.subarray(0, 63)],
    ['of 65 bytes', (signature) => Buffer.concat([signature, Buffer.alloc(1)])],
    ['twice over', (signature) => Buffer.concat([signature, signature])],
    ['of one byte', () => Buffer.alloc(1)],
    ['turned around', (signature) => Buffer.from(signature).reverse()],
  ]
  for (const [what, change] of signatures) {
    refuses(
      what,
      'signature_invalid',
      ({ input, signature }) =>
        `${input}.${change(Buffer.from(signature, 'base64url')).toString('base64url')}`,
      'peer',
    )
  }
})

describe('an HMAC', () => {
  const signatures: [string, (signature: Buffer) => Buffer][] = [
    ['cut to 16 bytes', (signature) => signature.subarray(0, 16)],
    ['of one byte', (signature) => signature.subarray(0, 1)],
    ['with a byte more', (signature) => Buffer.concat([signature, Buffer.alloc(1)])],
    ['of zeros', () => Buffer.alloc(32)],
  ]
  for (const [what, change] of signatures) {
    refuses(what, 'signature_invalid', ({ input, signature }) => {
      return `${input}.${change(Buffer.from(signature, 'base64url')).toString('base64url')}`
    })
  }
  for (const secret of ['', '\u0000', 'secret', 'undefined', 'null']) {
    refuses(`keyed with ${JSON.stringify(secret)}`, 'signature_invalid', ({ input }) => {
      return `${input}.${signatureOf(input, secret)}`
    })
  }
})
