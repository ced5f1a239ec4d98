import { createPublicKey, createSecretKey } from 'node:crypto'
import { readConfig } from '../src/config.ts'
import { type Installation, openInstallation } from '../src/installation.ts'
import { systemSeams } from '../src/seams.ts'
import type { Environment, SigningAlgorithm } from '../src/store/store.ts'
import { type TokenCheck, tokenCheck, type VerifyingKeys } from './token-check.ts'

/** A new installation with one environment. */
export interface Installed {
  /** What it is to be served with. */
  readonly env: Readonly<Record<string, string>>
  readonly environment: Environment
  readonly secretKey: string
  /** Verifies the tokens of its environment. */
  readonly verify: TokenCheck
}

/** Makes what else is to be in an installation. */
export type Fill = (installation: Installation, environment: Environment) => Promise<void>

/** More than any bench asks for: what is measured is counting, not refusing. */
export const FAR_LIMIT = '9999999/1m'

/**
 * Makes an installation in a folder.
 *
 * @param more environment variables besides
 */
export async function install(
  DATA_DIR: string,
  more: Readonly<Record<string, string>> = {},
  options: {
    readonly signingAlgorithm?: SigningAlgorithm
    readonly fill?: Fill
  } = {},
): Promise<Installed> {
  const { signingAlgorithm, fill } = options
  const env = { DATA_DIR, RATE_LIMIT_KEY: FAR_LIMIT, ...more }
  const installation = await openInstallation(readConfig(env), systemSeams)
  const { environment, secretKey } = await installation.environments.create('Bench', { signingAlgorithm })
  await fill?.(installation, environment)
  const verify = tokenCheck(await verifyingKeys(installation, environment))
  await installation.close()
  return { env, environment, secretKey, verify }
}

async function verifyingKeys(installation: Installation, { id }: Environment): Promise<VerifyingKeys> {
  const { store, signingKeyExport } = installation
  const keys: VerifyingKeys = new Map()
  for (const { kid, publicJwk } of await store.change((changes) => changes.listSigningKeys(id))) {
    if (publicJwk !== undefined) keys.set(kid, createPublicKey({ key: JSON.parse(publicJwk), format: 'jwk' }))
    else {
      const { k } = await signingKeyExport.exportSecret(id, kid)
      keys.set(kid, createSecretKey(Buffer.from(k, 'base64url')))
    }
  }
  return keys
}
