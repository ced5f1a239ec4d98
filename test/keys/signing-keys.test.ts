import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from 'jose'
import { createSealer } from '../../src/keys/sealing.ts'
import { generateEd25519Key, generateHs256Key, openSigner } from '../../src/keys/signing-keys.ts'
import { systemSeams } from '../../src/seams.ts'

const sealer = createSealer(systemSeams.random(32), systemSeams.random)
const ENVIRONMENT = 'env_0000000000000000'
const claims = { sub: 'zoë', n: 1 }

describe('an HS256 signing key', () => {
  const key = generateHs256Key(ENVIRONMENT, sealer, systemSeams)
  const secret = sealer.open(key.sealedSecret, `signing_key/${ENVIRONMENT}/${key.kid}`)

  it('signs what jose verifies', async () => {
    const token = openSigner(key, sealer).sign(JSON.stringify(claims))
    const { payload, protectedHeader } = await jwtVerify(token, secret)
    assert.deepEqual(payload, claims)
    assert.deepEqual(protectedHeader, { alg: 'HS256', typ: 'JWT', kid: key.kid })
  })

  it('signs byte for byte as jose does', async () => {
    const header = { alg: 'HS256', typ: 'JWT', kid: key.kid }
    const token = await new SignJWT(claims).setProtectedHeader(header).sign(secret)
    assert.equal(openSigner(key, sealer).sign(JSON.stringify(claims)), token)
  })

  it('has 256 bits and a kid that is random', () => {
    assert.equal(secret.length, 32)
    assert.notEqual(generateHs256Key(ENVIRONMENT, sealer, systemSeams).kid, key.kid)
    assert.equal(key.publicJwk, undefined)
  })
})

describe('an Ed25519 signing key', () => {
  it('signs what jose verifies with its public key alone', async () => {
    const key = await generateEd25519Key(ENVIRONMENT, sealer, systemSeams)
    const token = openSigner(key, sealer).sign(JSON.stringify(claims))
    const jwk = JSON.parse(key.publicJwk ?? '')
    const { payload, protectedHeader } = await jwtVerify(token, await importJWK(jwk, 'EdDSA'))
    assert.deepEqual(payload, claims)
    assert.deepEqual(protectedHeader, { alg: 'EdDSA', typ: 'JWT', kid: key.kid })
  })

  it('is named by its thumbprint and publishes nothing private', async () => {
    const key = await generateEd25519Key(ENVIRONMENT, sealer, systemSeams)
    const jwk = JSON.parse(key.publicJwk ?? '')
    assert.equal(key.kid, await calculateJwkThumbprint(jwk))
    assert.deepEqual(Object.keys(jwk).sort(), ['crv', 'kty', 'x'])
  })
})

describe('a sealed signing key', () => {
  it('does not open in another environment or under another kid', () => {
    const key = generateHs256Key(ENVIRONMENT, sealer, systemSeams)
    for (const moved of [
      { ...key, environmentId: 'env_1111111111111111' },
      { ...key, kid: 'sig_1' },
    ]) {
      assert.throws(() => openSigner(moved, sealer), { name: 'SealError' })
    }
  })
})
