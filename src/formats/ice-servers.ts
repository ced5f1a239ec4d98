import { z } from 'zod'
import { iceUrlFault } from '../domain/turn.ts'

const MOST_SERVERS = 16
const LONGEST_CREDENTIAL = 1_024

const urls = z.unknown().superRefine((value, context) => {
  const entries: unknown[] = Array.isArray(value) ? value : [value]
  if (entries.length === 0) context.addIssue('must not be empty')
  for (const [index, entry] of entries.entries()) {
    const message = iceUrlFault(entry)
    const path = Array.isArray(value) ? [index] : []
    if (message !== undefined) context.addIssue({ code: 'custom', message, path })
  }
})

const credential = z
  .string('must be text')
  .max(LONGEST_CREDENTIAL, `must be at most ${LONGEST_CREDENTIAL} characters`)

/**
 * The STUN and TURN servers in a token's metadata. The real client drops the whole list when one entry is bad
 * (WIRE 2), so a bad one is refused before it gets there.
 */
export const iceServers = z
  .array(
    z.looseObject(
      { urls, username: credential.optional(), credential: credential.optional() },
      'must be an object',
    ),
    'must be a list',
  )
  .max(MOST_SERVERS, `must be at most ${MOST_SERVERS} entries`)
