import { createHmac, hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { JetonError } from '../domain/errors.ts'
import { endingSoon, stateOf } from '../domain/key-life.ts'
import { phaseAt } from '../domain/signing-period.ts'
import type { RepeatableCall } from '../keys/idempotency.ts'
import type { ApiKey, Environment, SigningKey } from '../store/store.ts'

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/

const MOST_PER_PAGE = 100

/** How many entries of a list are asked for. */
export const pageLimit = z
  .string()
  .regex(/^\d{1,9}$/, 'must be a whole number')
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= MOST_PER_PAGE, `must be 1 to ${MOST_PER_PAGE}`)
  .default(MOST_PER_PAGE)
  .describe(`1 to ${MOST_PER_PAGE}.`)

/** A body that may be left out when each of its members may. */
export function optionalBody<Body extends z.ZodType>(body: Body) {
  // Fastify hands a body that is not there to the schema as null.
  return z.preprocess((value) => value ?? {}, body)
}

/** The body of a call that takes none. */
export const noBody = optionalBody(z.strictObject({}))

/**
 * The call of a request that carries an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), or `undefined`.
 *
 * @throws JetonError `body_invalid` for a key that is none
 */
export function repeatableCall(request: FastifyRequest): RepeatableCall | undefined {
  const key = request.headers['idempotency-key']
  if (key === undefined) return undefined
  if (typeof key !== 'string' || !IDEMPOTENCY_KEY.test(key)) {
    throw new JetonError(
      'body_invalid',
      'The Idempotency-Key must be 1 to 255 printable characters without spaces.',
    )
  }
  const asked = `${request.method} ${request.url} ${JSON.stringify(request.body ?? null)}`
  // Keyed with what is not kept, since what was asked may hold a secret that can be guessed.
  const fingerprint = createHmac('sha256', key).update(asked).digest('base64url')
  return { id: hash('sha256', key, 'base64url'), fingerprint }
}

/** What the admin API shows of an environment. All times are unix seconds. */
export function showEnvironment({ id, name, tag, ...environment }: Environment) {
  return {
    id,
    name,
    tag,
    state: environment.archivedAt === undefined ? 'active' : 'archived',
    signingAlgorithm: environment.signingAlgorithm ?? null,
    settings: environment.settings,
    turn: environment.turn === undefined ? null : { urls: environment.turn.urls },
    createdAt: toSeconds(environment.createdAt),
    archivedAt: toSeconds(environment.archivedAt) ?? null,
  }
}

/** What the admin API shows of a key: never the text of a secret one. */
export function showKey(key: ApiKey, now: number) {
  return {
    id: key.id,
    environmentId: key.environmentId,
    kind: key.kind,
    name: key.name ?? null,
    hint: key.hint,
    publishableKey: key.text ?? null,
    state: stateOf(key, now),
    exposed: key.exposedAt !== undefined,
    grant: key.grant ?? null,
    access: key.access ?? null,
    localSigning: key.sealedSecret !== undefined,
    successorId: key.successorId ?? null,
    createdAt: toSeconds(key.createdAt),
    expiresAt: toSeconds(key.expiresAt) ?? null,
    endsWithin: endingSoon(key, now) ?? null,
    revokedAt: toSeconds(key.revokedAt) ?? null,
    lastUsedAt: toSeconds(key.lastUsedAt) ?? null,
  }
}

/** What the admin API shows of a signing key: where it stands, and nothing of its secret. */
export function showSigningKey(key: Omit<SigningKey, 'sealedSecret' | 'publicJwk'>, now: number) {
  return {
    kid: key.kid,
    environmentId: key.environmentId,
    algorithm: key.algorithm,
    format: key.format ?? null,
    phase: phaseAt(key, now),
    createdAt: toSeconds(key.createdAt),
    signsFrom: toSeconds(key.signsFrom),
    signsUntil: toSeconds(key.signsUntil) ?? null,
    verifiesUntil: toSeconds(key.verifiesUntil) ?? null,
  }
}

function toSeconds(unixMs: number): number
function toSeconds(unixMs: number | undefined): number | undefined
function toSeconds(unixMs: number | undefined): number | undefined {
  return unixMs === undefined ? undefined : Math.floor(unixMs / 1000)
}
