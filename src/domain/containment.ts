import { accepts, type Meter, type Pattern, type Stretch, type Wildcard, walk } from './pattern.ts'

/** `budget_exceeded` is no decision: whoever asked refuses, as for `no`, and may say why. */
export type Containment = 'yes' | 'no' | 'budget_exceeded'

/** What all the comparisons of one request may cost together, in steps. */
export interface Budget extends Meter {
  readonly steps: number
}

/**
 * Ordinary patterns take 50 to 400 steps a pair, so that 100 channels against the 20 patterns of a grant stay within
 * it. The dearest pairs found take 10,000 to 20,000: a request full of those is cut off after 50 to 100 of 2,000 pairs.
 */
export const DEFAULT_BUDGET_STEPS = 1_000_000

// Weights, like those in pattern.ts: measured, so that a step takes about as long anywhere.
const CALL_STEPS = 48
const WALK_STEPS = 40
const LEVEL_STEPS = 16

/** A fresh budget, to be shared by all the comparisons of one request. */
export function createBudget(steps: number = DEFAULT_BUDGET_STEPS): Budget {
  return { steps, spent: 0 }
}

/**
 * Whether `outer` matches every name that `inner` matches, decided exactly. Names of any length count, so a
 * difference that only shows beyond 256 bytes is a `no` too.
 *
 * It is enough to look at the hardest names of `inner`. What stands for its wildcards there is a character that no
 * pattern writes: only a wildcard of `outer` can take it, and that wildcard takes any run without `/` as well. So a
 * `*` of `inner` may be that one character, and a `**` a number of them with `/` between. This leaves `inner` a fixed
 * text but for how many levels each `**` has. `outer` reads it as an automaton, and all that it can be in at a `**`
 * is a set of its at most 8 wildcards. A plain subset construction would double with every `*` that follows a `/`.
 *
 * @param budget gets what this costs; when its steps are spent, the answer is `budget_exceeded` from then on
 */
export function contains(outer: Pattern, inner: Pattern, budget: Budget): Containment {
  if (isExceeded(budget)) return 'budget_exceeded'
  budget.spent += CALL_STEPS
  if (outer.text === inner.text) return 'yes'
  const first = inner.stretches[0] ?? ''
  const last = inner.stretches.at(-1) ?? ''
  if (outer.wildcards.length === 0) return inner.stretches.length === 1 && first === outer.head ? 'yes' : 'no'
  if (!first.startsWith(outer.head) || !last.endsWith(outer.tail)) return 'no'
  return explore(outer, inner, budget)
}

function isExceeded(budget: Budget): boolean {
  return budget.spent > budget.steps
}

/** Follows the sets of wildcards of `outer` that may be running, from one `**` of `inner` to the next. */
function explore({ wildcards, head, tail }: Pattern, inner: Pattern, budget: Budget): Containment {
  const last = inner.stretches.length - 1
  let sets: readonly number[] = [1]
  for (const [index, text] of inner.stretches.entries()) {
    const from = index === 0 ? head.length : 0
    const to = index === last ? text.length - tail.length : text.length
    if (from > to) return 'no'
    const depths = index === 0 ? sets : atAnyDepth(wildcards, sets, budget)
    sets = walkAll(wildcards, depths, { text, from, to }, budget)
    if (isExceeded(budget)) return 'budget_exceeded'
    if (sets.includes(0)) return 'no'
  }
  return sets.every((set) => accepts(wildcards, set)) ? 'yes' : 'no'
}

/** Stops when the budget is spent: it overruns by one walk at most. */
function walkAll(
  wildcards: readonly Wildcard[],
  sets: readonly number[],
  stretch: Stretch,
  budget: Budget,
): readonly number[] {
  const leaving: number[] = []
  for (const set of sets) {
    if (isExceeded(budget)) break
    budget.spent += WALK_STEPS
    leaving.push(walk(wildcards, set, stretch, budget))
  }
  return leaving
}

/** The sets after a `**` of any depth. */
function atAnyDepth(
  wildcards: readonly Wildcard[],
  sets: readonly number[],
  budget: Budget,
): readonly number[] {
  const least: number[] = []
  for (const entering of sets) {
    for (let set = entering; addIfLess(least, set); set = oneLevelDeeper(wildcards, set)) {
      budget.spent += LEVEL_STEPS
    }
  }
  return least
}

/** One more `/` and one more run: a `**` takes both, and a `/` that is all before the next wildcard leads there. */
function oneLevelDeeper(wildcards: readonly Wildcard[], set: number): number {
  let deeper = 0
  let bit = 1
  for (const { deep, literal } of wildcards) {
    if (deep) deeper |= set & bit
    if (literal === '/') deeper |= (set & bit) << 1
    bit <<= 1
  }
  return deeper
}

/** A set that holds all of another accepts all that the other does: it can add nothing, and is left out. */
function addIfLess(least: number[], set: number): boolean {
  let kept = 0
  for (const known of least) {
    if ((known & set) === known) return false
    if ((known & set) !== set) least[kept++] = known
  }
  least.length = kept
  least.push(set)
  return true
}
