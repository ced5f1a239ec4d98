import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { admitsOrigin, allowedOriginFault } from '../../src/domain/origin.ts'

describe('a list of allowed origins', () => {
  for (const entry of [
    'https://a',
    'http://localhost:5173',
    'https://*.example.com',
    'https://*.example.com:8443',
  ]) {
    it(`may hold ${entry}`, () => {
      assert.equal(allowedOriginFault(entry), undefined)
    })
  }

  const faulty = [
    '',
    'null',
    'https://a/',
    'https://A',
    'https://a:443',
    'https://u@a',
    'https://*',
    'https://*.',
    'https://*.:8443',
    'https://a.*.com',
    'https://*.*.com',
    '*://a',
    'ws://a',
    'https://*.a/',
  ]
  for (const entry of faulty) {
    it(`refuses ${JSON.stringify(entry)}`, () => {
      assert.notEqual(allowedOriginFault(entry), undefined)
    })
  }

  it('admits nothing when it is empty', () => {
    assert.equal(admitsOrigin([], 'https://a'), false)
  })
})
