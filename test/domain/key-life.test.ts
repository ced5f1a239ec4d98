import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { endingSoon } from '../../src/domain/key-life.ts'

const NOW = 1_800_000_000_000
const DAY_MS = 86_400_000

describe('the end of a key', () => {
  const ends: [string, { expiresAt?: number; revokedAt?: number }, 'day' | 'week' | undefined][] = [
    ['never comes', {}, undefined],
    ['is in more than a week', { expiresAt: NOW + 7 * DAY_MS + 1 }, undefined],
    ['is in a week', { expiresAt: NOW + 7 * DAY_MS }, 'week'],
    ['is in more than a day', { expiresAt: NOW + DAY_MS + 1 }, 'week'],
    ['is in a day', { expiresAt: NOW + DAY_MS }, 'day'],
    ['is next', { expiresAt: NOW + 1 }, 'day'],
    ['is now', { expiresAt: NOW }, undefined],
    ['was', { expiresAt: NOW - 1 }, undefined],
    ['came before by revocation', { expiresAt: NOW + 1, revokedAt: NOW }, undefined],
  ]
  for (const [what, key, soon] of ends) {
    it(`is ${soon === undefined ? 'not soon' : `within a ${soon}`} when it ${what}`, () => {
      assert.equal(endingSoon(key, NOW), soon)
    })
  }
})
