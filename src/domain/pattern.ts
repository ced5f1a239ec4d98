/** The longest pattern, and the longest channel name, in bytes of UTF-8 (WIRE 2). */
export const CHANNEL_LIMIT_BYTES = 256

/** The most wildcards in one pattern; a `**` is one (WIRE 2, ours). */
export const WILDCARD_LIMIT = 8

/** Channels of the realtime server itself: no token may name them (WIRE 2). */
export const RESERVED_PREFIXES = ['_metered/', '_internal/', '_system/'] as const

// Steps for what costs more than looking at two characters, so that a step takes about as long anywhere.
const RUN_STEPS = 20
const SEARCH_STEPS = 8
const PEEK_STEPS = 2

// Behind every text. Infinity would say it better, but it makes every place a boxed number, at twice the time.
const NOWHERE = 0x3fffffff

const LEXEME = /\*\*?|\\[*\\]|[^*\\]+/g
const CONTROL = /\p{Cc}/u

/** Stands for a character that no pattern writes: control characters are refused in all of them. */
const FRESH = '\u0000'

/** One wildcard, and what stands behind it. */
export interface Wildcard {
  /** `**`, which runs across `/`; a `*` stops before it. */
  readonly deep: boolean
  /** What stands between it and the next wildcard, unescaped. Empty for the last one only: see `tail`. */
  readonly literal: string
  /** Whether the next wildcard is a `**`. */
  readonly nextDeep: boolean
}

/** A parsed channel pattern. It never changes and is worth keeping: most comparisons cost less than parsing. */
export interface Pattern {
  /** The pattern as it was written. */
  readonly text: string
  /** What stands before the first wildcard, unescaped; the whole name when there is none. */
  readonly head: string
  readonly wildcards: readonly Wildcard[]
  /** What stands behind the last wildcard, unescaped. */
  readonly tail: string
  /** The whole pattern, FRESH for every wildcard, cut behind each `**`: what `contains` reads of the inner one. */
  readonly stretches: readonly string[]
}

/** Why a text is no pattern, worded to go on after its name: `has more than 8 wildcards`. */
export interface PatternFault {
  readonly fault: string
}

/**
 * Reads a channel pattern: `*` any run without `/`, `**` any run, `\*` and `\\` literal; 1 to 256 bytes, at most
 * 8 wildcards (WIRE 2). Wildcards are read from the left, so `***` is `**` and `*`: it counts as two, and matches
 * what `**` matches.
 */
export function parsePattern(text: string): Pattern | PatternFault {
  const fault = channelFault(text)
  if (fault !== undefined) return { fault }
  const lexemes = text.match(LEXEME) ?? []
  if (lexemes.join('') !== text) return { fault: 'has a backslash with neither * nor \\ behind it' }
  if (lexemes.filter(isWildcard).length > WILDCARD_LIMIT)
    return { fault: `has more than ${WILDCARD_LIMIT} wildcards` }
  return read(text, lexemes)
}

/** Why `name` cannot be a channel, or `undefined` when it can: 1 to 256 bytes of UTF-8, no control characters. */
export function channelFault(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (name.length > CHANNEL_LIMIT_BYTES || Buffer.byteLength(name) > CHANNEL_LIMIT_BYTES)
    return `is longer than ${CHANNEL_LIMIT_BYTES} bytes`
  if (!name.isWellFormed()) return 'is not well-formed Unicode'
  return CONTROL.test(name) ? 'holds a control character' : undefined
}

/** Whether the pattern matches the whole name, case and all. It does not ask whether the name can be a channel. */
export function matches({ head, wildcards, tail }: Pattern, channel: string): boolean {
  if (wildcards.length === 0) return channel === head
  const to = channel.length - tail.length
  if (to < head.length || !channel.startsWith(head) || !channel.endsWith(tail)) return false
  return accepts(wildcards, walk(wildcards, 1, { text: channel, from: head.length, to }, { spent: 0 }))
}

/** Whether what stands before the first wildcard lies in a reserved namespace (`channel_reserved`). */
export function isReserved(pattern: Pattern): boolean {
  return isReservedChannel(pattern.head)
}

/** Whether the channel of this name lies in a reserved namespace (`channel_reserved`). */
export function isReservedChannel(name: string): boolean {
  return RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix))
}

function isWildcard(lexeme: string): boolean {
  return lexeme.startsWith('*')
}

/** Neighbouring wildcards become one `**`: two `*` cannot be neighbours, so one of them is deep already. */
function read(text: string, lexemes: readonly string[]): Pattern {
  let literal = ''
  const literals: string[] = []
  const deep: boolean[] = []
  for (const lexeme of lexemes) {
    if (!isWildcard(lexeme)) literal += lexeme.startsWith('\\') ? lexeme.slice(1) : lexeme
    else if (literal === '' && deep.length > 0) deep[deep.length - 1] = true
    else {
      literals.push(literal)
      deep.push(lexeme === '**')
      literal = ''
    }
  }
  return assemble(text, [...literals, literal], deep)
}

/** @param literals what stands before, between and behind the wildcards: one more than there are of those */
function assemble(text: string, literals: readonly string[], deep: readonly boolean[]): Pattern {
  const [head = '', ...behind] = literals
  const wildcards = deep.map((isDeep, index) => ({
    deep: isDeep,
    literal: index + 1 < deep.length ? (behind[index] ?? '') : '',
    nextDeep: deep[index + 1] ?? false,
  }))
  const stretches = [head]
  for (const [index, literal] of behind.entries()) {
    const before = (stretches.pop() ?? '') + FRESH
    if (deep[index]) stretches.push(before, literal)
    else stretches.push(before + literal)
  }
  return { text, head, wildcards, tail: behind.at(-1) ?? '', stretches }
}

/** The UTF-16 units of `text` from `from` up to, not including, `to`. */
export interface Stretch {
  readonly text: string
  readonly from: number
  readonly to: number
}

/** Counts the steps of a walk. */
export interface Meter {
  spent: number
}

/**
 * Reads a stretch of a name with the wildcards as an automaton. A set of wildcards is a number, bit 0 the first.
 *
 * @param entering the wildcards that may be running when the stretch begins
 * @returns those that may be running when it ends, without those before a running `**`: it accepts all they do
 */
export function walk(
  wildcards: readonly Wildcard[],
  entering: number,
  stretch: Stretch,
  meter: Meter,
): number {
  let leaving = 0
  let bit = 1
  let entries: number[] = []
  for (const wildcard of wildcards) {
    if ((entering & bit) !== 0) entries.unshift(stretch.from)
    if (entries.length > 0) {
      const exits: number[] = []
      const end = run(wildcard, entries, exits, stretch, meter)
      if (end === stretch.to) leaving = wildcard.deep ? bit : leaving | bit
      entries = exits
    }
    bit <<= 1
  }
  return leaving
}

/** Whether a name may end here: the last wildcard is among those that are running. */
export function accepts(wildcards: readonly Wildcard[], running: number): boolean {
  return running >> (wildcards.length - 1) === 1
}

/**
 * Lets one wildcard run from each place where it may begin, and returns where the last run ends. Adds to `exits` where
 * the next wildcard may begin: behind the literals on the way. Places are in ascending order, and one that lies within
 * a run that has begun before adds nothing, so it is passed over on both sides: texts of one letter cost no more.
 */
function run(
  { deep, literal, nextDeep }: Wildcard,
  entries: readonly number[],
  exits: number[],
  { text, to }: Stretch,
  meter: Meter,
): number {
  meter.spent += RUN_STEPS
  let end = -1
  let at = literal === '' ? NOWHERE : 0
  for (const entry of entries) {
    if (entry <= end) continue
    end = deep ? to : endOfRun(text, entry, to, meter)
    at = find(text, literal, Math.max(at, entry), to, meter)
    while (at <= end) {
      const exit = at + literal.length
      exits.push(exit)
      const passed = nextDeep ? to : endOfRun(text, exit, to, meter)
      at = find(text, literal, Math.max(at, passed - literal.length) + 1, to, meter)
    }
  }
  return end
}

/** Where a `*` that begins at `from` must end: before the next `/`. */
function endOfRun(text: string, from: number, to: number, meter: Meter): number {
  return Math.min(to, find(text, '/', from, to, meter))
}

/** Where `literal` stands next between `from` and `to`. */
function find(text: string, literal: string, from: number, to: number, meter: Meter): number {
  if (from + literal.length > to) return NOWHERE
  meter.spent += PEEK_STEPS
  if (text.charAt(from) === literal) return from
  const at = text.indexOf(literal, from)
  const found = at >= 0 && at + literal.length <= to
  meter.spent += SEARCH_STEPS + (((found ? at : to) - from + literal.length) >> 1)
  return found ? at : NOWHERE
}
