import { JetonError } from '../domain/errors.ts'
import { phaseAt } from '../domain/signing-period.ts'
import type { Seams } from '../seams.ts'
import type { Store } from '../store/store.ts'
import { needEnvironment } from './environments.ts'
import type { Sealer } from './sealing.ts'
import { openSecret } from './signing-keys.ts'

/** An HS256 secret as a JWK (RFC 7517, RFC 7518 §6.4): whoever holds it can verify, and mint. */
export interface SecretJwk {
  readonly kty: 'oct'
  readonly kid: string
  readonly alg: 'HS256'
  /** The secret's bytes, base64url. */
  readonly k: string
  /** The one format that an imported key signs, as in the JWKS. */
  readonly fmt?: string
}

/** Hands out the secret with which an environment's HS256 tokens can be judged without asking the gate. */
export interface SigningKeyExport {
  /**
   * The secret, once the moment at which it went out is kept in its row.
   *
   * @throws JetonError `not_found`, or `conflict` for a key that is no HS256 key, or is gone
   */
  exportSecret(environmentId: string, kid: string): Promise<SecretJwk>
}

interface SigningKeyExportDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly seams: Seams
}

export function createSigningKeyExport({ store, sealer, seams }: SigningKeyExportDeps): SigningKeyExport {
  return {
    exportSecret: (environmentId, kid) =>
      store.change(async (changes) => {
        await needEnvironment(changes, environmentId)
        const key = (await changes.listSigningKeys(environmentId)).find((one) => one.kid === kid)
        if (key === undefined) throw new JetonError('not_found', 'There is no such signing key.')
        if (key.algorithm !== 'HS256') {
          throw new JetonError(
            'conflict',
            'Only HS256 secrets are exported: what verifies EdDSA is in the JWKS.',
          )
        }
        const now = seams.now()
        if (phaseAt(key, now) === 'gone')
          throw new JetonError('conflict', 'The key is gone, and verifies nothing.')
        await changes.updateSigningKey(environmentId, kid, { exportedAt: now })
        return {
          kty: 'oct',
          kid,
          alg: 'HS256',
          k: Buffer.from(openSecret(key, sealer)).toString('base64url'),
          ...(key.format === undefined ? {} : { fmt: key.format }),
        }
      }),
  }
}
