import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type Budget, contains, createBudget, DEFAULT_BUDGET_STEPS } from '../../src/domain/containment.ts'
import {
  CHANNEL_LIMIT_BYTES,
  channelFault,
  isReserved,
  isReservedChannel,
  matches,
  type Pattern,
  parsePattern,
  walk,
} from '../../src/domain/pattern.ts'

interface Vectors {
  match: { pattern: string; channel: string; matches: boolean }[]
  contain: { outer: string; inner: string; contains: boolean }[]
  invalid: { pattern: string }[]
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/channel-patterns.json', import.meta.url), 'utf8'),
)

describe('parsing a channel pattern', () => {
  const refused: [what: string, text: string, fault: RegExp][] = [
    ['nothing', '', /^is empty$/],
    ['257 bytes', 'a'.repeat(257), /^is longer than 256 bytes$/],
    ['129 letters of two bytes', 'é'.repeat(129), /^is longer than 256 bytes$/],
    ['nine wildcards', 'a*b*c**d*e*f*g*h*i*', /^has more than 8 wildcards$/],
    ['nine wildcards side by side', '*'.repeat(17), /^has more than 8 wildcards$/],
    ['a backslash at the end', 'a\\', /backslash/],
    ['a backslash before a letter', '\\a', /backslash/],
    ['a backslash left over', '\\\\\\', /backslash/],
    ['a null', 'a\u0000', /^holds a control character$/],
    ['a line break', 'a\nb', /^holds a control character$/],
    ['a delete', '\u007f', /^holds a control character$/],
    ['a control character beyond ASCII', 'a\u0085', /^holds a control character$/],
    ['half a surrogate pair', 'a\ud83d', /^is not well-formed Unicode$/],
  ]
  for (const [what, text, fault] of refused) {
    it(`refuses ${what}`, () => assert.match(faultOf(text), fault))
  }

  it('refuses what the vectors call invalid', () => {
    for (const { pattern } of vectors.invalid) assert.notEqual(faultOf(pattern), '', JSON.stringify(pattern))
  })

  it('takes 256 bytes and 8 wildcards, however they are written', () => {
    for (const text of ['a'.repeat(256), 'é'.repeat(128), '*a'.repeat(8), '**a'.repeat(8), '*'.repeat(16)]) {
      assert.equal(faultOf(text), '', text)
    }
  })

  it('does not count an escaped star as a wildcard', () => {
    assert.equal(faultOf('\\*'.repeat(20)), '')
  })

  it('reads three stars as one run across slashes', () => {
    assert.ok(matches(parsed('a***b'), 'a/x/b'))
    assert.equal(contains(parsed('a***b'), parsed('a**b'), createBudget()), 'yes')
  })

  it('keeps the text as it was written', () => assert.equal(parsed('a\\*/***').text, 'a\\*/***'))
})

describe('a channel name', () => {
  it('may hold anything but control characters, stars and backslashes included', () => {
    for (const name of ['a', '*', '\\', 'ü/😀 \u2028', 'a'.repeat(256)])
      assert.equal(channelFault(name), undefined)
  })

  it('is refused when it is empty, too long, broken, or holds a control character', () => {
    for (const name of ['', 'a'.repeat(257), 'é'.repeat(129), '\udc00', 'a\tb']) {
      assert.notEqual(channelFault(name), undefined, JSON.stringify(name))
    }
  })
})

describe('reserved namespaces', () => {
  for (const prefix of ['_metered/', '_internal/', '_system/']) {
    it(`holds every channel and pattern that begins with ${prefix}`, () => {
      assert.ok(isReservedChannel(`${prefix}x`))
      for (const text of [prefix, `${prefix}*`, `${prefix}a/**`, `${prefix}\\*`])
        assert.ok(isReserved(parsed(text)))
    })
  }

  it('leaves every other name free', () => {
    for (const name of ['_metered', '_meteredx/a', 'a/_metered/b', '_System/a']) {
      assert.ok(!isReservedChannel(name), name)
      assert.ok(!isReserved(parsed(name)), name)
    }
  })

  it('looks at what stands before the first wildcard alone', () => {
    for (const text of ['*', '**', '_metered*', '_*/a', '*_metered/a'])
      assert.ok(!isReserved(parsed(text)), text)
  })
})

describe('matching a channel', () => {
  it('agrees with the vectors', () => {
    for (const { pattern, channel, matches: expected } of vectors.match) {
      assert.equal(matches(parsed(pattern), channel), expected, `${pattern} on ${channel}`)
    }
  })

  it('takes characters beyond the basic plane whole', () => {
    assert.ok(matches(parsed('*😀'), '😁😀'))
    assert.ok(!matches(parsed('*😀'), '😁'))
  })

  it('agrees with a plain automaton on every short name', () => {
    const random = createRandom(1)
    const names = namesUpTo(5)
    let matched = 0
    for (let round = 0; round < 400; round++) {
      const text = randomPattern(random, 8)
      const pattern = parsed(text)
      const reference = automatonOf(text)
      for (const name of names) {
        const expected = acceptsName(reference, name)
        if (matches(pattern, name) !== expected) assert.fail(`${text} on ${name} should be ${expected}`)
        if (expected) matched++
      }
    }
    assert.ok(matched > 10_000, 'the patterns match too little to show anything')
  })

  // About twice what they take. Without what passes over needless places, the letters alone take ten times as much.
  const hard: [text: string, name: string, mostSteps: number][] = [
    ['*a*a*a*a*a*a*b*', 'a'.repeat(256), 4_000],
    ['**a**a**a**a**a**a**a**', 'a'.repeat(256), 400],
    [`**${`${'a'.repeat(30)}b**`.repeat(7)}`, 'a'.repeat(256), 400],
    ['**/*/*/*/*/*/*/*', '/'.repeat(256), 28_000],
    ['**a*/a*/a*/a*/a*/a*/a*', 'a/'.repeat(128), 44_000],
  ]
  for (const [text, name, mostSteps] of hard) {
    it(`takes few steps for ${text.slice(0, 25)} on 256 letters made to be hard`, () => {
      const meter = { spent: 0 }
      const { wildcards, head } = parsed(text)
      walk(wildcards, 1, { text: name, from: head.length, to: name.length }, meter)
      assert.ok(meter.spent < mostSteps, `${meter.spent} steps`)
    })
  }
})

describe('whether a pattern contains another', () => {
  it('agrees with the vectors', () => {
    for (const { outer, inner, contains: expected } of vectors.contain) {
      assert.equal(isContained(outer, inner), expected, `${inner} in ${outer}`)
    }
  })

  const overlaps: [outer: string, inner: string, expected: boolean][] = [
    ['ab*ba', 'aba', false],
    ['ab*ba', 'abba', true],
    ['a*a', 'a', false],
    ['*/**', '**/**', true],
    ['*/**', '**', false],
    ['**/*', '*/**', true],
    ['**/*/**', '**/**/**', true],
    ['**/*/**', '**/**', false],
    ['**/*/**', '**/x/**', true],
    ['*a', '**a', false],
    ['a\\*', 'a*', false],
    ['a*', 'a\\*', true],
    ['\\\\*', '\\\\\\*', true],
    ['*', '***', false],
    ['**', '***', true],
  ]
  for (const [outer, inner, expected] of overlaps) {
    it(`finds ${inner} ${expected ? '' : 'not '}in ${outer}`, () =>
      assert.equal(isContained(outer, inner), expected))
  }

  it('never finds a pattern in one that misses a name of it', () => {
    const random = createRandom(2)
    const names = namesUpTo(5)
    const pool = Array.from({ length: 200 }, () => randomPattern(random, 6)).map((text) => {
      const reference = automatonOf(text)
      return { text, pattern: parsed(text), missed: names.map((name) => !acceptsName(reference, name)) }
    })
    let found = 0
    for (const outer of pool) {
      for (const inner of pool) {
        if (contains(outer.pattern, inner.pattern, createBudget()) !== 'yes') continue
        const gap = names.find((_, index) => outer.missed[index] && !inner.missed[index])
        assert.equal(gap, undefined, `${inner.text} in ${outer.text}`)
        found++
      }
    }
    assert.ok(found > 1_000, `only ${found} were contained`)
  })

  for (const [pieces, rounds] of [
    [8, 12_000],
    [16, 4_000],
    [28, 800],
  ] as const) {
    it(`agrees with an unpruned subset construction on patterns of up to ${pieces} pieces`, () => {
      const random = createRandom(pieces)
      const tally = { true: 0, false: 0 }
      for (let round = 0; round < rounds; round++) {
        const outer = randomPattern(random, pieces)
        const inner = random(2) === 0 ? randomPattern(random, pieces) : randomPart(random, outer)
        const expected = containsBySubsets(outer, inner)
        if (isContained(outer, inner) !== expected) assert.fail(`${inner} in ${outer} should be ${expected}`)
        tally[`${expected}`]++
      }
      assert.ok(Math.min(tally.true, tally.false) > rounds / 6, `one-sided: ${JSON.stringify(tally)}`)
    })
  }
})

describe('the budget of a request', () => {
  // Up to 256 bytes each, made to keep the server busy. None is contained, and only the whole text shows it.
  const doubling = '**/a*/*/*/*/*/*/*'
  const families: [name: string, outer: string, inner: string][] = [
    ['a wildcard behind each slash', doubling, `**/a${'/a'.repeat(120)}**b`],
    ['many depths', doubling, fill('**/a', 7, '**b')],
    ['slashes only', '**/*/*/*/*/*/a*/*', `${'/'.repeat(250)}*`],
    ['slashes between depths', '**/*/*/*/*/*/a*/*', fill(`**${'/'.repeat(30)}`, 7, '**')],
    ['long runs', `*${`${'a'.repeat(15)}*`.repeat(7)}`, `${'a'.repeat(240)}**`],
    ['long runs that nearly match', `**${`${'a'.repeat(30)}b**`.repeat(7)}`, `*${'a'.repeat(240)}*`],
    ['short runs', '*a*a*a*a*a*a*a*', `${'a'.repeat(250)}/*`],
  ]

  for (const [name, outer, inner] of families) {
    it(`decides one comparison of ${name} within it`, () => {
      assert.equal(contains(parsed(outer), parsed(inner), createBudget()), 'no')
    })

    it(`bounds 100 against 20 patterns of ${name}, and lets none through`, () => {
      const budget = createBudget()
      const answers = compareMany(parsed(outer), parsed(inner), 2000, budget)
      assert.ok(!answers.has('yes'))
      assert.ok(budget.spent < DEFAULT_BUDGET_STEPS * 1.1, `${budget.spent} steps`)
    })
  }

  it('is exceeded by comparisons that are contained as well, and then refuses them', () => {
    const inner = parsed(`${'/'.repeat(250)}*`)
    const answers = compareMany(parsed('**/*/*/*/*/*/*/*'), inner, 2000, createBudget())
    assert.deepEqual([...answers], ['yes', 'budget_exceeded'])
  })

  it('is not touched in earnest by 100 ordinary channels against 20 ordinary patterns', () => {
    const ordinary: [outer: (n: number) => string, inner: (n: number) => string][] = [
      [(n) => `app_${n}/room-*`, (n) => `app_x/room-${n}`],
      [() => 'app_x/room-*', (n) => `app_x/room-${n}`],
      [() => 'app_x/**', (n) => `app_x/user-${n}/*`],
      [(n) => `org/*/team/*/room/${n}/**`, (n) => `org/acme/team/${n}/room/1/**`],
      [(n) => `**/presence-${n}-*`, (n) => `tenant/acme/region/eu/app/${n}/presence-1-*`],
    ]
    for (const [outer, inner] of ordinary) {
      const budget = createBudget()
      for (let asked = 0; asked < 100; asked++) {
        const pattern = parsed(inner(asked))
        for (let allowed = 0; allowed < 20; allowed++) contains(parsed(outer(allowed)), pattern, budget)
      }
      assert.ok(budget.spent < DEFAULT_BUDGET_STEPS / 2, `${inner(1)} in ${outer(1)}: ${budget.spent} steps`)
    }
  })

  it('never turns into a wrong answer, however small it is', () => {
    const random = createRandom(5)
    let refused = 0
    for (let round = 0; round < 500; round++) {
      const outer = parsed(randomPattern(random, 10))
      const inner = parsed(randomPart(random, outer.text))
      const whole = createBudget()
      const truth = contains(outer, inner, whole)
      for (let steps = 0; steps < whole.spent; steps += 7) {
        const answer = contains(outer, inner, createBudget(steps))
        if (answer === 'budget_exceeded') refused++
        else assert.equal(answer, truth, `${inner.text} in ${outer.text} with ${steps} steps`)
      }
    }
    assert.ok(refused > 1_000)
  })

  it('is overrun by one look at one stretch at most', () => {
    const outer = parsed('*/*/*/*/*/*/*/**')
    const inner = parsed(fill(`**${'/'.repeat(27)}`, 8, ''))
    const whole = createBudget()
    contains(outer, inner, whole)
    for (let steps = 0; steps < whole.spent; steps += 3) {
      const budget = createBudget(steps)
      contains(outer, inner, budget)
      assert.ok(budget.spent - steps < 500, `${budget.spent} of ${steps} steps`)
    }
  })

  it('is shared: once it is spent, the simplest comparison is refused too', () => {
    const budget = createBudget(0)
    contains(parsed('a'), parsed('a'), budget)
    assert.equal(contains(parsed('a'), parsed('a'), budget), 'budget_exceeded')
  })
})

function parsed(text: string): Pattern {
  const pattern = parsePattern(text)
  if ('fault' in pattern) assert.fail(`${text} ${pattern.fault}`)
  return pattern
}

function faultOf(text: string): string {
  const pattern = parsePattern(text)
  return 'fault' in pattern ? pattern.fault : ''
}

function isContained(outer: string, inner: string): boolean {
  const answer = contains(parsed(outer), parsed(inner), createBudget())
  assert.notEqual(answer, 'budget_exceeded', `${inner} in ${outer}`)
  return answer === 'yes'
}

function compareMany(outer: Pattern, inner: Pattern, count: number, budget: Budget): Set<string> {
  return new Set(Array.from({ length: count }, () => contains(outer, inner, budget)))
}

/** `part` as often as it fits into a pattern, `most` times at most, then `end`. */
function fill(part: string, most: number, end: string): string {
  const times = Math.min(most, Math.floor((CHANNEL_LIMIT_BYTES - end.length) / part.length))
  return part.repeat(times) + end
}

type Random = (below: number) => number

/** A linear congruential generator (Numerical Recipes): the same patterns at every run. */
function createRandom(seed: number): Random {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const PIECES = ['a', 'a', 'b', '/', '/', '*', '*', '**', '**', '\\*'] as const

function randomPattern(random: Random, mostPieces: number): string {
  for (;;) {
    const length = 1 + random(mostPieces)
    const text = Array.from({ length }, () => PIECES[random(PIECES.length)]).join('')
    if (faultOf(text) === '') return text
  }
}

/** A pattern made from another by narrowing its wildcards, and sometimes spoilt again. */
function randomPart(random: Random, outer: string): string {
  for (;;) {
    const narrowed = automatonOf(outer).map(({ kind, character }) => {
      if (kind === 'literal') return character === '*' ? '\\*' : character
      const wildcard = kind === 'deep' ? '**' : '*'
      return ['', wildcard, 'a', wildcard + randomPattern(random, 2)][random(4)] ?? ''
    })
    if (random(3) === 0) narrowed.splice(random(narrowed.length + 1), 0, PIECES[random(PIECES.length)] ?? '')
    const text = narrowed.join('')
    if (faultOf(text) === '') return text
  }
}

/** Every name of up to `length` characters: of two letters, the slash, and a letter that no random pattern holds. */
function namesUpTo(length: number): string[] {
  if (length === 0) return ['']
  const shorter = namesUpTo(length - 1)
  const longest = shorter.filter((name) => name.length === length - 1)
  return [...shorter, ...longest.flatMap((name) => ['a', 'b', '/', 'z'].map((letter) => name + letter))]
}

interface State {
  kind: 'literal' | 'star' | 'deep'
  character: string
}

/** The reference reads the text by itself, a state for each character and each wildcard. */
function automatonOf(text: string): State[] {
  const states: State[] = []
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '*' && text[at + 1] === '*') states.push({ kind: 'deep', character: text[at++] ?? '' })
    else if (text[at] === '*') states.push({ kind: 'star', character: '*' })
    else states.push({ kind: 'literal', character: (text[at] === '\\' ? text[++at] : text[at]) ?? '' })
  }
  return states
}

/** The states from `at` on that need no character to be reached; the number behind the last accepts. */
function closure(automaton: State[], at: number): number[] {
  const state = automaton[at]
  return state === undefined || state.kind === 'literal' ? [at] : [at, ...closure(automaton, at + 1)]
}

function advance(automaton: State[], from: number[], character: string): number[] {
  const reached = from.flatMap((at) => {
    const state = automaton[at]
    if (state === undefined) return []
    if (state.kind === 'literal') return state.character === character ? closure(automaton, at + 1) : []
    return state.kind === 'deep' || character !== '/' ? closure(automaton, at) : []
  })
  return [...new Set(reached)].sort((a, b) => a - b)
}

function acceptsName(automaton: State[], name: string): boolean {
  const reached = [...name].reduce(
    (from, character) => advance(automaton, from, character),
    closure(automaton, 0),
  )
  return reached.includes(automaton.length)
}

/** The textbook's way: every state of inner with every set of states of outer, over every character that matters. */
function containsBySubsets(outerText: string, innerText: string): boolean {
  const outer = automatonOf(outerText)
  const inner = automatonOf(innerText)
  const letters = [...outer, ...inner]
    .filter(({ kind }) => kind === 'literal')
    .map(({ character }) => character)
  const alphabet = new Set([...letters, '/', 'another'])
  const seen = new Set<string>()
  const waiting = closure(inner, 0).map((at) => ({ at, set: closure(outer, 0) }))
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    const { at, set } = pair
    const key = `${at}:${set}`
    if (seen.has(key)) continue
    seen.add(key)
    if (at === inner.length && !set.includes(outer.length)) return false
    for (const character of alphabet) {
      const next = advance(outer, set, character)
      waiting.push(...advance(inner, [at], character).map((state) => ({ at: state, set: next })))
    }
  }
  return true
}
