import type { Head } from './journal.ts'
import type { Place } from './record.ts'

/** Where a chain is broken, and how. */
export interface Break {
  readonly file: string
  /** From 1; `undefined` when it is about the whole file. */
  readonly line: number | undefined
  readonly reason: 'edited' | 'missing' | 'swapped' | 'torn' | 'unreadable'
  /** A sentence. */
  readonly detail: string
}

/** A line of a file. */
export interface Whereabouts {
  readonly file: string
  /** From 1. */
  readonly line: number
}

/**
 * Which line it was that does not fit, told by the numbers and by the line behind.
 *
 * @param last the line before it
 * @param place where it says that it stands, and its own hash
 * @param next where the line behind it says that it stands
 * @param head where the chain ends before it
 */
export function diagnose(
  last: Whereabouts | undefined,
  here: Whereabouts,
  place: Place,
  own: string,
  next: Place | undefined,
  head: Head,
): Break {
  const expected = head.n + 1
  if (place.prev === head.sha256) {
    return { ...here, reason: 'edited', detail: `It says that it is record ${place.n}, but is ${expected}.` }
  }
  if (place.n === expected) {
    const isThisOne = next !== undefined && next.prev !== own
    const where = isThisOne ? here : (last ?? here)
    return { ...where, reason: 'edited', detail: 'Its hash is not the one that the record after it names.' }
  }
  if (next?.n === expected) {
    const detail = `It is record ${place.n}, and the line after it is record ${expected}.`
    return { ...here, reason: 'swapped', detail }
  }
  if (place.n > expected) {
    const detail = `Records ${expected} to ${place.n - 1} should be before it, and are not there.`
    return { ...here, reason: 'missing', detail }
  }
  return { ...here, reason: 'swapped', detail: `It is record ${place.n} in the place of record ${expected}.` }
}

/** A line without an end, with others behind it. */
export function tornWithin(here: Whereabouts): Break {
  const detail = 'It has no end, and no later file says that it was left behind so.'
  return { ...here, reason: 'torn', detail }
}
