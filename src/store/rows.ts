import { z } from 'zod'
import type { Grant } from '../domain/grant.ts'
import type { AdminKey, ApiKey, Environment, SigningKey } from './store.ts'

const optionalTime = z
  .number()
  .nullable()
  .transform((value) => value ?? undefined)
const optionalText = z
  .string()
  .nullable()
  .transform((value) => value ?? undefined)

const algorithm = z.enum(['HS256', 'EdDSA'])
const bytes = z.string().transform((text): Uint8Array => Buffer.from(text, 'base64url'))

export const environmentRow = z
  .object({
    id: z.string(),
    name: z.string(),
    tag: z.string(),
    signingAlgorithm: algorithm.nullable().transform((value) => value ?? undefined),
    turnUrls: z.string().nullable(),
    turnSealedSecret: bytes.nullable(),
    createdAt: z.number(),
  })
  .transform(({ turnUrls, turnSealedSecret, ...environment }): Environment => {
    if (turnUrls === null || turnSealedSecret === null) return { ...environment, turn: undefined }
    return {
      ...environment,
      turn: { urls: z.array(z.string()).parse(JSON.parse(turnUrls)), sealedSecret: turnSealedSecret },
    }
  })

export const apiKeyRow = z.object({
  id: z.string(),
  environmentId: z.string(),
  kind: z.enum(['secret', 'publishable']),
  digest: z.string(),
  hint: z.string(),
  text: optionalText,
  grant: z
    .string()
    .nullable()
    .transform((text): Grant | undefined => (text === null ? undefined : JSON.parse(text))),
  createdAt: z.number(),
  expiresAt: optionalTime,
  revokedAt: optionalTime,
  exposedAt: optionalTime,
})

export const signingKeyRow = z.object({
  environmentId: z.string(),
  kid: z.string(),
  format: optionalText,
  algorithm,
  sealedSecret: bytes,
  publicJwk: optionalText,
  createdAt: z.number(),
})

type Revised<Row> = Row & { revision: number }

/** The tables as Kysely sees them, in camel case. */
export interface Schema {
  revision: { id: number; value: number }
  dataKey: { id: number; sealed: string }
  adminKey: { digest: string; hint: string; createdAt: number }
  environment: Revised<z.input<typeof environmentRow>>
  apiKey: Revised<z.input<typeof apiKeyRow>>
  signingKey: Revised<z.input<typeof signingKeyRow>>
}

export function environmentToRow({ id, name, tag, createdAt, ...settings }: Environment) {
  return { id, name, tag, createdAt, ...settingsToRow(settings) }
}

/** The columns of those settings that are named, and of no others. */
export function settingsToRow(settings: Partial<Pick<Environment, 'signingAlgorithm' | 'turn'>>) {
  const { signingAlgorithm, turn } = settings
  return {
    ...('signingAlgorithm' in settings ? { signingAlgorithm: signingAlgorithm ?? null } : {}),
    ...('turn' in settings
      ? {
          turnUrls: turn ? JSON.stringify(turn.urls) : null,
          turnSealedSecret: turn ? toText(turn.sealedSecret) : null,
        }
      : {}),
  }
}

export function apiKeyToRow(key: ApiKey): z.input<typeof apiKeyRow> {
  const { id, environmentId, kind, digest, hint, createdAt } = key
  return {
    id,
    environmentId,
    kind,
    digest,
    hint,
    text: key.text ?? null,
    grant: grantToText(key.grant),
    createdAt,
    expiresAt: key.expiresAt ?? null,
    revokedAt: key.revokedAt ?? null,
    exposedAt: key.exposedAt ?? null,
  }
}

export function signingKeyToRow(key: SigningKey): z.input<typeof signingKeyRow> {
  const { environmentId, kid, algorithm, createdAt } = key
  const sealedSecret = toText(key.sealedSecret)
  return {
    environmentId,
    kid,
    format: key.format ?? null,
    algorithm,
    sealedSecret,
    publicJwk: key.publicJwk ?? null,
    createdAt,
  }
}

export function adminKeyToRow({ digest, hint, createdAt }: AdminKey): Schema['adminKey'] {
  return { digest, hint, createdAt }
}

/** A grant as it is kept. It was checked when it was made. */
export function grantToText(grant: Grant | undefined): string | null {
  return grant === undefined ? null : JSON.stringify(grant)
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
