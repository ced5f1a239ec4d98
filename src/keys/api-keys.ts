import { digestOfKey, hintOfKey, KEY_RANDOM_BYTES, writeKey } from '../domain/api-key.ts'
import type { Grant } from '../domain/grant.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Seams } from '../seams.ts'
import type { AdminKey, ApiKey, Environment } from '../store/store.ts'

/** A new key: its row, and its text, which nothing keeps if it is secret. */
export interface NewKey<Row> {
  readonly row: Row
  readonly text: string
}

/** Makes a secret or publishable key for an environment. */
export function generateApiKey(
  kind: ApiKey['kind'],
  environment: Environment,
  seams: Seams,
  grant?: Grant,
): NewKey<ApiKey> {
  const text = writeKey(kind, environment.tag, seams.random(KEY_RANDOM_BYTES))
  const row = {
    id: writeIdentifier('kid', seams.random(IDENTIFIER_RANDOM_BYTES)),
    environmentId: environment.id,
    kind,
    digest: digestOfKey(text),
    hint: hintOfKey(text),
    text: kind === 'publishable' ? text : undefined,
    grant,
    access: undefined,
    name: undefined,
    createdAt: seams.now(),
    expiresAt: undefined,
    revokedAt: undefined,
    exposedAt: undefined,
    successorId: undefined,
    lastUsedAt: undefined,
  }
  return { row, text }
}

/** Makes an admin key. */
export function generateAdminKey(seams: Seams): NewKey<AdminKey> {
  const text = writeKey('admin', undefined, seams.random(KEY_RANDOM_BYTES))
  return { row: { digest: digestOfKey(text), hint: hintOfKey(text), createdAt: seams.now() }, text }
}
