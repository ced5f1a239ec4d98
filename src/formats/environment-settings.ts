import { z } from 'zod'
import { seconds } from './fields.ts'
import type { Lifetime } from './format.ts'
import { formats } from './formats.ts'

/** The most that a subject may be allowed in one window: what is kept of it grows with that. */
const MOST_PER_SUBJECT = 10_000

const lifetimes = z.strictObject(
  Object.fromEntries(formats.map(({ name, lifetime }) => [name, lifetimeSettings(lifetime).optional()])),
)

/** What an environment does otherwise than by default; never above what a format allows at most. */
export const environmentSettings = z.strictObject({
  lifetimes: lifetimes.optional().describe('By format: how long its tokens live by default, and at most.'),
  subjectLimit: z
    .strictObject({ count: z.int().min(1).max(MOST_PER_SUBJECT), windowSeconds: seconds(1, 3_600) })
    .optional(),
  allowBrowserSecrets: z.boolean().optional().describe('Lets browsers use secret keys: for development.'),
})

function lifetimeSettings({ longestSeconds: most }: Lifetime) {
  return z
    .strictObject({
      defaultSeconds: seconds(1, most).optional(),
      longestSeconds: seconds(1, most).optional(),
    })
    .refine(({ defaultSeconds = 1, longestSeconds = most }) => defaultSeconds <= longestSeconds, {
      path: ['defaultSeconds'],
      error: 'must not be above longestSeconds',
    })
}
