import { z } from 'zod'
import { MOST_PATTERNS } from '../domain/grant.ts'
import { allowedOriginFault } from '../domain/origin.ts'
import { grantedChannel } from './grant.ts'
import { PERMISSIONS } from './permissions.ts'

const MOST_ORIGINS = 20
const tooMany = (most: number) => `must be at most ${most} entries`

const allowedOrigin = z.string().superRefine((value, context) => {
  if (value === '*') return
  const fault = allowedOriginFault(value)
  if (fault !== undefined) context.addIssue(fault)
})

/**
 * What a publishable key lets its holder do by itself. Without channels it only names its environment; with some it must
 * say from where.
 */
export const accessSchema = z
  .strictObject({
    channels: z.array(grantedChannel).max(MOST_PATTERNS, tooMany(MOST_PATTERNS)).default([]),
    actions: z.array(z.enum(PERMISSIONS, `must be one of ${PERMISSIONS.join(', ')}`)).default([]),
    allowedOrigins: z.array(allowedOrigin).max(MOST_ORIGINS, tooMany(MOST_ORIGINS)).default([]),
    allowAnyOrigin: z.boolean().default(false).describe('Must be true for `*` among the origins.'),
  })
  .refine(({ channels, allowedOrigins }) => channels.length === 0 || allowedOrigins.length > 0, {
    path: ['allowedOrigins'],
    error: 'is needed where there are channels',
  })
  .refine(({ allowedOrigins, allowAnyOrigin }) => allowAnyOrigin === allowedOrigins.includes('*'), {
    path: ['allowAnyOrigin'],
    error: 'must be true for `*`, and for nothing else',
  })
  .transform(({ channels, actions, allowedOrigins }) => ({ channels, actions, allowedOrigins }))
