import { z } from 'zod'
import type { Aspect, ChangeRecord } from '../domain/change-record.ts'
import type { AdminKey, ApiKey, Environment, EnvironmentSettings, SigningKey, TurnServer } from './store.ts'

const optionalTime = z
  .number()
  .nullable()
  .transform((value) => value ?? undefined)
const optionalText = z
  .string()
  .nullable()
  .transform((value) => value ?? undefined)

const algorithm = z.enum(['HS256', 'EdDSA'])
const bytes = z.string().transform(fromText)

/** JSON that this program wrote, after it was checked. */
const json = z
  .string()
  .nullable()
  .transform((text) => (text === null ? undefined : JSON.parse(text)))

export const environmentRow = z
  .object({
    id: z.string(),
    name: z.string(),
    tag: z.string(),
    signingAlgorithm: algorithm.nullable().transform((value) => value ?? undefined),
    turnUrls: json,
    turnSealedSecret: bytes.nullable(),
    settings: json.transform((settings): EnvironmentSettings => settings ?? {}),
    createdAt: z.number(),
    archivedAt: optionalTime,
  })
  .transform(({ turnUrls, turnSealedSecret, ...environment }): Environment => {
    const turn = turnSealedSecret === null ? undefined : { urls: turnUrls, sealedSecret: turnSealedSecret }
    return { ...environment, turn }
  })

/** Only checked here, and converted by `apiKeyFromRow`: there may be very many of these. */
const apiKeyRow = z.object({
  id: z.string(),
  environmentId: z.string(),
  kind: z.enum(['secret', 'publishable']),
  digest: z.string(),
  hint: z.string(),
  text: z.string().nullable(),
  sealedSecret: z.string().nullable(),
  grant: z.string().nullable(),
  access: z.string().nullable(),
  name: z.string().nullable(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  revokedAt: z.number().nullable(),
  exposedAt: z.number().nullable(),
  successorId: z.string().nullable(),
  lastUsedAt: z.number().nullable(),
})

/**
 * Checks a row and makes it a key. Converting within the schema costs zod a closure for each value: reading 100,000 keys
 * then takes half as long again and leaves the process 100 MB larger.
 */
export function apiKeyFromRow(row: unknown): ApiKey {
  const { id, environmentId, kind, digest, hint, createdAt, ...optional } = apiKeyRow.parse(row)
  return {
    id,
    environmentId,
    kind,
    digest,
    hint,
    text: optional.text ?? undefined,
    sealedSecret: optional.sealedSecret === null ? undefined : fromText(optional.sealedSecret),
    grant: optional.grant === null ? undefined : JSON.parse(optional.grant),
    access: optional.access === null ? undefined : JSON.parse(optional.access),
    name: optional.name ?? undefined,
    createdAt,
    expiresAt: optional.expiresAt ?? undefined,
    revokedAt: optional.revokedAt ?? undefined,
    exposedAt: optional.exposedAt ?? undefined,
    successorId: optional.successorId ?? undefined,
    lastUsedAt: optional.lastUsedAt ?? undefined,
  }
}

export const signingKeyRow = z.object({
  environmentId: z.string(),
  kid: z.string(),
  format: optionalText,
  algorithm,
  sealedSecret: bytes,
  publicJwk: optionalText,
  createdAt: z.number(),
  signsFrom: z.number(),
  signsUntil: optionalTime,
  verifiesUntil: optionalTime,
  exportedAt: optionalTime,
})

export const revocationRow = z.object({
  environmentId: z.string(),
  kind: z.enum(['jti', 'subject', 'key']),
  value: z.string(),
  before: optionalTime,
  until: z.number(),
  revision: z.number(),
})

/** A count of `usageMinute` or `usageHour`. */
export const usageRow = z.object({
  environmentId: z.string(),
  minute: z.number(),
  keyId: z.string(),
  format: z.string(),
  outcome: z.string(),
  count: z.number(),
})

export const sketchRow = z.object({ environmentId: z.string(), day: z.number(), sketch: z.string() })

export const alertRow = z.object({
  id: z.string(),
  environmentId: z.string(),
  keyId: z.string(),
  minute: z.number(),
  issued: z.number(),
  median: z.number(),
  closedMinute: optionalTime,
  why: z
    .enum(['calm', 'new_level'])
    .nullable()
    .transform((value) => value ?? undefined),
  peak: optionalTime,
})

export const alertNoticeRow = z.object({
  id: z.string(),
  body: z.string(),
  createdAt: z.number(),
  attempts: z.number(),
  dueAt: z.number(),
})

type Revised<Row> = Row & { revision: number }

/** The tables as Kysely sees them, in camel case. */
export interface Schema {
  revision: { id: number; value: number }
  dataKey: { id: number; sealed: string }
  adminKey: { digest: string; hint: string; createdAt: number }
  environment: Revised<z.input<typeof environmentRow>>
  idempotentCall: { id: string; fingerprint: string; result: string; createdAt: number }
  apiKey: Revised<z.input<typeof apiKeyRow>>
  signingKey: Revised<z.input<typeof signingKeyRow>>
  revocation: z.input<typeof revocationRow>
  changeRecord: ChangeRecord
  changeAspect: { aspect: Aspect; value: string; revision: number }
  usageMinute: z.input<typeof usageRow>
  usageHour: z.input<typeof usageRow>
  usageSubjects: z.input<typeof sketchRow>
  usageMark: { chain: string; counted: number; written: number }
  alert: z.input<typeof alertRow>
  alertNotice: z.input<typeof alertNoticeRow>
}

// How a member is written. `undefined` is null, which is another thing than a member that a change does not name.
const toJson = (value: object | undefined) => (value === undefined ? null : JSON.stringify(value))

export function environmentToRow(environment: Environment): z.input<typeof environmentRow> {
  const { id, name, tag, createdAt, signingAlgorithm, turn, settings, archivedAt } = environment
  return {
    id,
    name,
    tag,
    signingAlgorithm: signingAlgorithm ?? null,
    ...turnToRow(turn),
    settings: toJson(settings),
    createdAt,
    archivedAt: archivedAt ?? null,
  }
}

export function apiKeyToRow(key: ApiKey): z.input<typeof apiKeyRow> {
  return {
    ...key,
    text: key.text ?? null,
    sealedSecret: key.sealedSecret === undefined ? null : toText(key.sealedSecret),
    grant: toJson(key.grant),
    access: toJson(key.access),
    name: key.name ?? null,
    expiresAt: key.expiresAt ?? null,
    revokedAt: key.revokedAt ?? null,
    exposedAt: key.exposedAt ?? null,
    successorId: key.successorId ?? null,
    lastUsedAt: key.lastUsedAt ?? null,
  }
}

export function signingKeyToRow(key: SigningKey): z.input<typeof signingKeyRow> {
  return {
    ...key,
    format: key.format ?? null,
    sealedSecret: toText(key.sealedSecret),
    publicJwk: key.publicJwk ?? null,
    signsUntil: key.signsUntil ?? null,
    verifiesUntil: key.verifiesUntil ?? null,
    exportedAt: key.exportedAt ?? null,
  }
}

function turnToRow(turn: TurnServer | undefined) {
  return {
    turnUrls: toJson(turn?.urls),
    turnSealedSecret: turn === undefined ? null : toText(turn.sealedSecret),
  }
}

export function adminKeyToRow({ digest, hint, createdAt }: AdminKey): Schema['adminKey'] {
  return { digest, hint, createdAt }
}

function fromText(text: string): Uint8Array {
  return Buffer.from(text, 'base64url')
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
