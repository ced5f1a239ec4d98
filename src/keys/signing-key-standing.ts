import { ownKeys, phaseAt, previousKeyAt, signingKeyAt } from '../domain/signing-period.ts'
import type { SigningAlgorithm, SigningKey } from '../store/store.ts'

/** How an environment's own keys of one algorithm stand at a moment. */
export interface Standing {
  readonly own: readonly SigningKey[]
  readonly signing: SigningKey | undefined
  /** The successor that is published and does not sign yet: at most one. */
  readonly pending: SigningKey | undefined
  readonly newest: SigningKey | undefined
  readonly now: number
}

export function standingOf(keys: readonly SigningKey[], algorithm: SigningAlgorithm, now: number): Standing {
  const own = ownKeys(keys, algorithm)
  const signing = signingKeyAt(own, now)
  const pending = own.find((key) => phaseAt(key, now) === 'published')
  return { own, signing, pending, newest: pending ?? signing, now }
}

/**
 * Which key steps back in a roll back, and which one signs instead. That one must be in every process's JWKS until all
 * have learned of it.
 */
export function wayBack({ own, signing, pending, now }: Standing, spreadMs: number) {
  if (pending !== undefined) return { from: pending, to: signing }
  return { from: signing, to: signing && previousKeyAt(own, signing, now + spreadMs) }
}
