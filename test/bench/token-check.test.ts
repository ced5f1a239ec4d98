import assert from 'node:assert/strict'
import { createHmac, createSecretKey } from 'node:crypto'
import { describe, it } from 'node:test'
import { WrongAnswer } from '../../bench/load.ts'
import { tokenCheck } from '../../bench/token-check.ts'

const SECRET = createSecretKey(Buffer.alloc(32, 7))
const LATER = 4_102_444_800

function token(header: object, claims: object, key = SECRET): string {
  const [head, body] = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const signature = createHmac('sha256', key).update(`${head}.${body}`).digest('base64url')
  return `${head}.${body}.${signature}`
}

describe('the check of every token that a bench was given', () => {
  const check = tokenCheck(
    new Map([
      ['', SECRET],
      ['k', SECRET],
    ]),
  )

  it('lets through what its contestant signed, with and without a kid', () => {
    check(token({ alg: 'HS256' }, { exp: LATER }))
    check(token({ alg: 'HS256', kid: 'k' }, { exp: LATER }))
  })

  for (const [what, wrong] of [
    ['signed with another key', token({}, { exp: LATER }, createSecretKey(Buffer.alloc(32, 8)))],
    ['of another kid', token({ kid: 'other' }, { exp: LATER })],
    ['that is over', token({}, { exp: 1 })],
    ['without an end', token({}, {})],
    ['that is cut', token({}, { exp: LATER }).slice(0, -1)],
    ['that is no token', 'a.b.c'],
    ['that is not there', undefined],
  ] as const) {
    it(`fails at one ${what}`, () => assert.throws(() => check(wrong), WrongAnswer))
  }
})
