import { z } from 'zod'
import { isAddressOrRange } from '../domain/address.ts'
import { MOST_PATTERNS, USES } from '../domain/grant.ts'
import { isReserved, parsePattern, RESERVED_PREFIXES } from '../domain/pattern.ts'
import { parsePolicy } from '../domain/policy.ts'
import { origin } from './client.ts'
import { seconds } from './fields.ts'
import { formatNames } from './formats.ts'
import { PERMISSIONS } from './permissions.ts'

const MOST_ENTRIES = 100
const tooMany = (most: number) => `must be at most ${most} entries`

/** A channel pattern that a key may carry. */
export const grantedChannel = z.string().superRefine((value, context) => {
  const pattern = parsePattern(value)
  if ('fault' in pattern) context.addIssue(pattern.fault)
  else if (isReserved(pattern))
    context.addIssue(`is reserved: ${RESERVED_PREFIXES.join(', ')} cannot be granted`)
})

const policy = z.strictObject({ groupId: z.string(), peerId: z.string() }).superRefine((value, context) => {
  const parsed = parsePolicy(value.groupId, value.peerId)
  if ('fault' in parsed) context.addIssue(parsed.fault)
})

const address = z.string().refine(isAddressOrRange, 'must be an IP address or a CIDR range')

/** Checks a grant before it is kept. A member that is left out does not limit, `[]` allows nothing. */
export const grantSchema = z.strictObject({
  uses: z.array(z.enum(USES, `must be one of ${USES.join(', ')}`)).optional(),
  formats: z.array(z.enum(formatNames, `must be one of ${formatNames.join(', ')}`)).optional(),
  channels: z.array(grantedChannel).max(MOST_PATTERNS, tooMany(MOST_PATTERNS)).optional(),
  permissions: z.array(z.enum(PERMISSIONS, `must be one of ${PERMISSIONS.join(', ')}`)).optional(),
  policies: z.array(policy).max(MOST_PATTERNS, tooMany(MOST_PATTERNS)).optional(),
  models: z.array(z.string().min(1)).max(MOST_ENTRIES, tooMany(MOST_ENTRIES)).optional(),
  origins: z.array(origin).max(MOST_ENTRIES, tooMany(MOST_ENTRIES)).optional(),
  maxTtlSeconds: seconds(1, 86_400).optional(),
  addresses: z.array(address).max(MOST_ENTRIES, tooMany(MOST_ENTRIES)).optional(),
})
