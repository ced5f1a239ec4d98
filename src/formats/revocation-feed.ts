import { z } from 'zod'
import type { Revocation } from '../domain/revocation.ts'

const entry = z.union([
  z.object({ jti: z.string(), until: z.int() }),
  z.object({ subject: z.string(), before: z.int(), until: z.int() }),
  z.object({ keyId: z.string(), before: z.int(), until: z.int() }),
])

/** What `GET /v1/revocations` answers (WIRE 5). */
export const feedSchema = z.object({
  environmentId: z.string().describe('Whose revocations these are: the environment of the key that asks.'),
  version: z.int(),
  snapshot: z.boolean().describe('Whether these are all entries that there are.'),
  archived: z
    .literal(true)
    .optional()
    .describe('There while the environment is archived: nothing of it is let in.'),
  entries: z.array(entry).describe('Times are unix seconds; behind its `until` an entry says nothing more.'),
})

/** A revocation as it stands in the feed. */
export type FeedEntry = z.output<typeof entry>

export function entryOf({ kind, value, before = 0, until }: Revocation): FeedEntry {
  switch (kind) {
    case 'jti':
      return { jti: value, until }
    case 'subject':
      return { subject: value, before, until }
    case 'key':
      return { keyId: value, before, until }
    default:
      return kind satisfies never
  }
}

/** What an entry of an environment's feed says, as of the version with which it came. */
export function revocationOf(entry: FeedEntry, environmentId: string, revision: number): Revocation {
  const about = { environmentId, until: entry.until, revision }
  if ('jti' in entry) return { ...about, kind: 'jti', value: entry.jti, before: undefined }
  const { before } = entry
  return 'subject' in entry
    ? { ...about, kind: 'subject', value: entry.subject, before }
    : { ...about, kind: 'key', value: entry.keyId, before }
}
