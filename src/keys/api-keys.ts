import { digestOfKey, hintOfKey, KEY_RANDOM_BYTES, writeKey } from '../domain/api-key.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Seams } from '../seams.ts'
import type { AdminKey, ApiKey, Environment } from '../store/store.ts'

/** A new key: its row, and its text, which nothing keeps if it is secret. */
export interface NewKey<Row> {
  readonly row: Row
  readonly text: string
}

/** A key that a call made, now or when it came the first time: its text is only there in the first answer. */
export interface MadeKey {
  readonly row: ApiKey
  readonly text: string | undefined
}

/** Makes a secret or publishable key for an environment. */
export function generateApiKey(
  kind: ApiKey['kind'],
  environment: Environment,
  seams: Seams,
  carried: Partial<Pick<ApiKey, 'name' | 'grant' | 'access' | 'createdAt' | 'expiresAt'>> = {},
): NewKey<ApiKey> {
  const text = writeKey(kind, environment.tag, seams.random(KEY_RANDOM_BYTES))
  const row = {
    id: writeIdentifier('kid', seams.random(IDENTIFIER_RANDOM_BYTES)),
    environmentId: environment.id,
    kind,
    digest: digestOfKey(text),
    hint: hintOfKey(text),
    text: kind === 'publishable' ? text : undefined,
    sealedSecret: undefined,
    name: undefined,
    grant: undefined,
    access: undefined,
    createdAt: seams.now(),
    expiresAt: undefined,
    revokedAt: undefined,
    exposedAt: undefined,
    successorId: undefined,
    lastUsedAt: undefined,
    ...carried,
  }
  return { row, text }
}

/** Makes an admin key. */
export function generateAdminKey(seams: Seams): NewKey<AdminKey> {
  const text = writeKey('admin', undefined, seams.random(KEY_RANDOM_BYTES))
  return { row: { digest: digestOfKey(text), hint: hintOfKey(text), createdAt: seams.now() }, text }
}
