import { hash } from 'node:crypto'
import { addToSketch, emptySketch, type Sketch, writeSketch } from '../domain/distinct.ts'
import { type Countable, ISSUED } from '../journal/journal.ts'
import type { SubjectSketch, UsageCount } from '../store/store.ts'

/** A tally with more kinds is to be ended: what is written at once stays small. */
export const MOST_KINDS = 1_000

const DAY_MINUTES = 1_440

/** Names a subject so that nobody who sees the sketches can try out who is in them. */
export type Digest = (environmentId: string, subject: string) => string

/** @param secret of this installation, the same in every process of it */
export function digestWith(secret: Uint8Array): Digest {
  const key = Buffer.from(secret).toString('base64url')
  return (environmentId, subject) => hash('sha256', `${key} ${environmentId} ${subject}`, 'hex')
}

/** Counts of a while. */
export interface Tally {
  /** @param minute unix minutes */
  note(countable: Countable, minute: number): void
  /** How many kinds are told apart, each day of an environment among them. */
  size(): number
  /** How often something was counted. */
  total(): number
  content(): { readonly counts: readonly UsageCount[]; readonly sketches: readonly SubjectSketch[] }
}

export function createTally(digest: Digest): Tally {
  const counts = new Map<string, { -readonly [Name in keyof UsageCount]: UsageCount[Name] }>()
  const sketches = new Map<string, { environmentId: string; day: number; sketch: Sketch }>()
  let total = 0
  return {
    note(countable, minute) {
      const { environmentId, keyId, format, outcome, count, subject } = countable
      total += count
      const kind = `${minute} ${environmentId} ${keyId} ${format} ${outcome}`
      const known = counts.get(kind)
      if (known !== undefined) known.count += count
      else counts.set(kind, { environmentId, keyId, format, minute, outcome, count })
      if (outcome === ISSUED && subject !== undefined) noteSubject(environmentId, minute, subject)
    },
    size: () => counts.size + sketches.size,
    total: () => total,
    content: () => ({
      counts: [...counts.values()],
      sketches: [...sketches.values()].map(({ sketch, ...named }) => ({
        ...named,
        sketch: writeSketch(sketch),
      })),
    }),
  }

  function noteSubject(environmentId: string, minute: number, subject: string): void {
    const day = Math.floor(minute / DAY_MINUTES)
    const name = `${environmentId} ${day}`
    let found = sketches.get(name)
    if (found === undefined) {
      found = { environmentId, day, sketch: emptySketch() }
      sketches.set(name, found)
    }
    addToSketch(found.sketch, digest(environmentId, subject))
  }
}
