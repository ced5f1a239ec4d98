import { z } from 'zod'
import type { AdminKey, ApiKey, Environment, SigningKey } from './store.ts'

const optionalTime = z
  .number()
  .nullable()
  .transform((value) => value ?? undefined)
const optionalText = z
  .string()
  .nullable()
  .transform((value) => value ?? undefined)

export const environmentRow = z.object({
  id: z.string(),
  name: z.string(),
  tag: z.string(),
  createdAt: z.number(),
})

export const apiKeyRow = z.object({
  id: z.string(),
  environmentId: z.string(),
  kind: z.enum(['secret', 'publishable']),
  digest: z.string(),
  hint: z.string(),
  text: optionalText,
  createdAt: z.number(),
  expiresAt: optionalTime,
  revokedAt: optionalTime,
  exposedAt: optionalTime,
})

export const signingKeyRow = z.object({
  environmentId: z.string(),
  kid: z.string(),
  algorithm: z.enum(['HS256', 'EdDSA']),
  sealedSecret: z.string().transform((text): Uint8Array => Buffer.from(text, 'base64url')),
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

export function environmentToRow({ id, name, tag, createdAt }: Environment): z.input<typeof environmentRow> {
  return { id, name, tag, createdAt }
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
    createdAt,
    expiresAt: key.expiresAt ?? null,
    revokedAt: key.revokedAt ?? null,
    exposedAt: key.exposedAt ?? null,
  }
}

export function signingKeyToRow(key: SigningKey): z.input<typeof signingKeyRow> {
  const { environmentId, kid, algorithm, createdAt } = key
  const sealedSecret = Buffer.from(key.sealedSecret).toString('base64url')
  return { environmentId, kid, algorithm, sealedSecret, publicJwk: key.publicJwk ?? null, createdAt }
}

export function adminKeyToRow({ digest, hint, createdAt }: AdminKey): Schema['adminKey'] {
  return { digest, hint, createdAt }
}
