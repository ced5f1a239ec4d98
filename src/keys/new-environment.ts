import { DEFAULT_TAG, nameFault, tagFault } from '../domain/environment.ts'
import { JetonError } from '../domain/errors.ts'
import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import { LEEWAY_SECONDS } from '../domain/signing-period.ts'
import type { Seams } from '../seams.ts'
import type { ApiKey, ChangeSet, Environment, SigningAlgorithm, SigningKey } from '../store/store.ts'
import { generateApiKey } from './api-keys.ts'
import type { Sealer } from './sealing.ts'
import { generateEd25519Key, generateHs256Key } from './signing-keys.ts'

/** An environment as it was made, with the texts of its keys: the only time that the secret one is seen. */
export interface NewEnvironment {
  readonly environment: Environment
  readonly keyId: string
  readonly secretKey: string
  readonly publishableKey: string
}

export interface EnvironmentOptions {
  readonly tag?: string | undefined
  readonly signingAlgorithm?: SigningAlgorithm | undefined
}

/** An environment that is not kept yet. */
export interface Draft {
  readonly made: NewEnvironment
  readonly apiKeys: readonly ApiKey[]
  readonly signingKeys: readonly SigningKey[]
}

interface DraftDeps {
  readonly sealer: Sealer
  readonly seams: Seams
}

/**
 * Makes everything that an environment begins with, before the transaction that keeps it, so that that one holds the
 * database's lock for the writes alone.
 *
 * @throws JetonError `body_invalid` for a name or tag that cannot be
 */
export async function draftEnvironment(
  name: string,
  options: EnvironmentOptions,
  { sealer, seams }: DraftDeps,
): Promise<Draft> {
  const { tag = DEFAULT_TAG, signingAlgorithm } = options
  refuseNames([
    { path: 'name', message: nameFault(name) },
    { path: 'tag', message: tagFault(tag) },
  ])
  const id = writeIdentifier('env', seams.random(IDENTIFIER_RANDOM_BYTES))
  const environment = {
    id,
    name,
    tag,
    signingAlgorithm,
    turn: undefined,
    settings: {},
    createdAt: seams.now(),
    archivedAt: undefined,
  }
  // All of one moment: that tells the pair of the beginning from keys that came later.
  const secret = generateApiKey('secret', environment, seams, { createdAt: environment.createdAt })
  const publishable = generateApiKey('publishable', environment, seams, {
    createdAt: environment.createdAt,
  })
  return {
    made: { environment, keyId: secret.row.id, secretKey: secret.text, publishableKey: publishable.text },
    apiKeys: [secret.row, publishable.row],
    signingKeys: [generateHs256Key(id, sealer, seams), await generateEd25519Key(id, sealer, seams)].map(
      // Nobody has to learn of a first key before it signs, and a process whose clock is behind mints with it too.
      (key) => ({ ...key, signsFrom: key.signsFrom - LEEWAY_SECONDS * 1000 }),
    ),
  }
}

/** Keeps what was drafted. */
export async function insertDraft(changes: ChangeSet, draft: Draft): Promise<void> {
  await changes.insertEnvironment(draft.made.environment)
  for (const key of draft.apiKeys) await changes.insertApiKey(key)
  for (const key of draft.signingKeys) await changes.insertSigningKey(key)
}

/** @throws JetonError `body_invalid` that names every fault there is */
export function refuseNames(faults: readonly { path: string; message: string | undefined }[]): void {
  const issues = faults.flatMap(({ path, message }) => (message === undefined ? [] : [{ path, message }]))
  if (issues.length === 0) return
  throw new JetonError('body_invalid', issues.map(({ message }) => message).join(' '), { issues })
}
