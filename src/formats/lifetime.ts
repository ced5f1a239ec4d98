import type { Grant } from '../domain/grant.ts'
import type { Format } from './format.ts'

/** What an environment sets of lifetimes, by format; in seconds. */
export type LifetimeSettings = Readonly<
  Record<string, { readonly longestSeconds?: number | undefined } | undefined>
>

/** The longest life that the environment and the key allow a token of this format, in seconds. */
export function longestTtl(
  { name, lifetime }: Pick<Format, 'name' | 'lifetime'>,
  lifetimes: LifetimeSettings | undefined,
  { maxTtlSeconds }: Grant,
): number {
  const ofEnvironment = lifetimes?.[name]?.longestSeconds ?? lifetime.longestSeconds
  return Math.min(ofEnvironment, maxTtlSeconds ?? ofEnvironment)
}
