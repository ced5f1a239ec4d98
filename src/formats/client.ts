import { z } from 'zod'
import { originFault, showOrigin } from '../domain/origin.ts'
import type { Refusal } from '../domain/verdict.ts'
import { notForFormat } from './ask.ts'
import { jsonObject, seconds, subject } from './fields.ts'
import type { Format, Lifetime } from './format.ts'

const lifetime: Lifetime = { defaultSeconds: 60, longestSeconds: 3_600 }

/** Stands before a token that is handed out as an API key. */
export const CLIENT_KEY_PREFIX = 'ek_'

const SHORTEST_SESSION_SECONDS = 10
const MOST_ENTRIES = 20
const tooMany = `must be at most ${MOST_ENTRIES} entries`

const userId = subject(128).refine((value) => !value.startsWith('kid_'), 'must not begin with kid_')

const model = z.string().min(1, 'must not be empty').max(256, 'must be at most 256 characters')

/** A canonical origin, compared as it stands. */
export const origin = z.string().superRefine((value, context) => {
  const fault = originFault(value)
  if (fault !== undefined) context.addIssue(fault)
})

const constraints = z.strictObject({
  realtime: leftOut(
    z.strictObject({
      maxSessionDuration: leftOut(
        z
          .int('must be a whole number')
          .min(SHORTEST_SESSION_SECONDS, `must be at least ${SHORTEST_SESSION_SECONDS}`),
      ),
    }),
  ),
})

const request = z
  .strictObject({
    expiresIn: leftOut(seconds(1, lifetime.longestSeconds)).describe(
      'How long a session may begin, in seconds.',
    ),
    allowedModels: leftOut(z.array(model).max(MOST_ENTRIES, tooMany)),
    allowedOrigins: leftOut(z.array(origin).max(MOST_ENTRIES, tooMany)),
    constraints: leftOut(constraints).describe('How long a session may last, in seconds.'),
    metadata: leftOut(jsonObject(4_096)).describe('Carried in the token, not echoed.'),
    userId: leftOut(userId).describe('Who the token is for: becomes `sub`, and is who is limited.'),
  })
  .meta({ examples: [{ expiresIn: 300, allowedModels: ['a'], allowedOrigins: ['https://example.com'] }] })

const held = z.object({
  models: z.array(z.string()).optional(),
  origins: z.array(z.string()).optional(),
  constraints: z
    .object({ realtime: z.object({ maxSessionDuration: z.int().optional() }).optional() })
    .optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
})

/** Lets a client begin a session with a model (modelled on Decart; WIRE 3). */
export const client: Format<typeof request, typeof held> = {
  name: 'client',
  algorithm: 'EdDSA',
  lifetime,
  request,
  subject: ({ userId }) => userId,
  askedTtlSeconds: ({ expiresIn }) => expiresIn,
  needs: ({ allowedModels, allowedOrigins }) => ({ models: allowedModels, origins: allowedOrigins }),
  claims: ({ allowedModels, allowedOrigins, constraints, metadata }, { grant }) => {
    // A token without models is good for all of them, so what the key is limited to is written into it.
    const claims = {
      models: allowedModels ?? grant.models,
      origins: allowedOrigins ?? grant.origins,
      constraints,
      metadata,
    }
    return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
  },
  policy: ({ models, origins, constraints }) => ({ models, origins, constraints }),
  held,
  permits: ({ models, origins }, { ask, origin }, trial) => {
    const refusal = trial.hold('origin', originRefusal(origins, origin))
    if (refusal !== undefined || ask === undefined) return refusal
    if (ask.kind !== 'client') return trial.hold('ask', notForFormat('client'))
    return trial.hold('model', modelRefusal(models, ask.model))
  },
  maxSessionSeconds: ({ constraints }) => constraints?.realtime?.maxSessionDuration,
}

// A token that is bound to origins is for browsers: whoever says none is not where it belongs.
function originRefusal(
  origins: readonly string[] | undefined,
  origin: string | undefined,
): Refusal | undefined {
  if (origins === undefined || (origin !== undefined && origins.includes(origin))) return undefined
  const detail = `The token is for ${origins.join(', ') || 'no origin'} and was sent from ${showOrigin(origin)}.`
  return { code: 'origin_not_allowed', detail }
}

// A token without models is good for all of them.
function modelRefusal(models: readonly string[] | undefined, model: string): Refusal | undefined {
  if (models === undefined || models.includes(model)) return undefined
  const detail = `The token is for ${models.join(', ') || 'no model'} but the ask was for ${model}.`
  return { code: 'model_not_granted', detail }
}

// The SDK's other callers send null for what they leave out (WIRE 3).
function leftOut<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullish().transform((value) => value ?? undefined)
}
