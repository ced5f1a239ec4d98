import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createBudget } from '../../src/domain/containment.ts'
import {
  admitsAddress,
  admitsUse,
  ceilingOf,
  excessOf,
  type Grant,
  type Needs,
} from '../../src/domain/grant.ts'
import { type Pattern, parsePattern } from '../../src/domain/pattern.ts'
import { type Policy, parsePolicy } from '../../src/domain/policy.ts'

function pattern(text: string): Pattern {
  const parsed = parsePattern(text)
  assert.ok(!('fault' in parsed))
  return parsed
}

function policy(groupId: string, peerId: string): Policy {
  const parsed = parsePolicy(groupId, peerId)
  assert.ok(!('fault' in parsed))
  return parsed
}

const channels = (...texts: string[]) => ({ channels: texts.map(pattern) })

/** Grant, needs, and the member that is exceeded, if one is. */
const cases: [string, Grant, Omit<Needs, 'format'>, keyof Grant | undefined][] = [
  ['an empty grant limits nothing', {}, { ...channels('**'), permissions: ['send'] }, undefined],
  ['a channel within', { channels: ['room-*'] }, channels('room-1', 'room-4*'), undefined],
  ['one channel beyond among many', { channels: ['room-*'] }, channels('room-1', 'admin'), 'channels'],
  ['a channel that reaches across a /', { channels: ['room-*'] }, channels('room-**'), 'channels'],
  ['a channel within the second pattern', { channels: ['a', 'b/**'] }, channels('b/c/d'), undefined],
  ['no channels at all', { channels: [] }, channels('a'), 'channels'],
  ['nothing asked of nothing allowed', { channels: [] }, channels(), undefined],
  ['channels that were not asked for', { channels: ['room-*'] }, {}, undefined],
  ['a permission within', { permissions: ['publish'] }, { permissions: ['publish'] }, undefined],
  ['a permission beyond', { permissions: ['publish'] }, { permissions: ['publish', 'send'] }, 'permissions'],
  [
    'a policy within',
    { policies: [{ groupId: 'g*', peerId: '*' }] },
    { policy: policy('g1', 'a*') },
    undefined,
  ],
  [
    'a policy beyond',
    { policies: [{ groupId: 'g*', peerId: '*' }] },
    { policy: policy('*', '*') },
    'policies',
  ],
  ['a group within', { policies: [{ groupId: 'g*', peerId: 'x' }] }, { groupId: 'g1' }, undefined],
  ['a group beyond', { policies: [{ groupId: 'g*', peerId: '*' }] }, { groupId: 'other' }, 'policies'],
  ['no policies at all', { policies: [] }, { groupId: 'g' }, 'policies'],
  ['a model within', { models: ['a', 'b'] }, { models: ['b'] }, undefined],
  ['a model beyond', { models: ['a'] }, { models: ['A'] }, 'models'],
  ['an origin beyond', { origins: ['https://x'] }, { origins: ['https://y'] }, 'origins'],
  ['a format within', { formats: ['channels'] }, {}, undefined],
  ['a format beyond', { formats: ['user'] }, {}, 'formats'],
  ['no formats at all', { formats: [] }, {}, 'formats'],
]

describe('a grant', () => {
  for (const [what, grant, needs, member] of cases) {
    it(`${member === undefined ? 'admits' : 'refuses'} ${what}`, () => {
      const excess = excessOf(ceilingOf(grant), { format: 'channels', ...needs }, createBudget())
      assert.equal(excess?.member, member)
    })
  }

  it('says what was asked and what is allowed', () => {
    const excess = excessOf(
      ceilingOf({ channels: ['room-*'] }),
      { format: 'x', ...channels('admin-1') },
      createBudget(),
    )
    assert.deepEqual(excess, { member: 'channels', asked: 'admin-1', allowed: ['room-*'] })
  })

  it('refuses what cannot be decided within the budget, and never lets it through', () => {
    const outer = ceilingOf({ channels: ['**/a*/*/*/*/*'] })
    const needs = { format: 'channels', ...channels('**/a*/b*/*/*/*') }
    assert.equal(excessOf(outer, needs, createBudget()), undefined)
    assert.equal(excessOf(outer, needs, createBudget(0))?.member, 'channels')
  })

  it('decides the worst request within its one budget', () => {
    const long = (index: number) => `${'/*'.repeat(6)}**/${'a'.repeat(230)}${index}*`.slice(0, 256)
    const allowed = Array.from({ length: 20 }, (_, index) => `**/a${'/b'.repeat(index)}*/*/*/*/*`)
    const asked = Array.from({ length: 100 }, (_, index) => pattern(long(index)))
    const budget = createBudget()
    assert.equal(
      excessOf(ceilingOf({ channels: allowed }), { format: 'channels', channels: asked }, budget)?.member,
      'channels',
    )
  })

  it('admits addresses by range, an IPv4 one in an IPv6 spelling too', () => {
    const ceiling = ceilingOf({ addresses: ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'] })
    for (const address of ['10.1.2.3', '192.0.2.7', '::ffff:10.1.2.3', '2001:db8::1']) {
      assert.equal(admitsAddress(ceiling, address), true, address)
    }
    for (const address of ['11.0.0.1', '192.0.2.8', '::1', '2001:db9::1', '::ffff:11.0.0.1']) {
      assert.equal(admitsAddress(ceiling, address), false, address)
    }
    assert.equal(admitsAddress(ceilingOf({ addresses: [] }), '10.0.0.1'), false)
    assert.equal(admitsAddress(ceilingOf({}), '10.0.0.1'), true)
  })

  it('admits uses by name', () => {
    assert.equal(admitsUse(ceilingOf({ uses: ['verify'] }), 'verify'), true)
    assert.equal(admitsUse(ceilingOf({ uses: ['verify'] }), 'mint'), false)
    assert.equal(admitsUse(ceilingOf({ uses: [] }), 'verify'), false)
    assert.equal(admitsUse(ceilingOf({}), 'revoke'), true)
  })
})
