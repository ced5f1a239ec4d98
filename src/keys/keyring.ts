import { timingSafeEqual } from 'node:crypto'
import { digestOfKey, type KeyKind, kindOfKey } from '../domain/api-key.ts'
import { JetonError } from '../domain/errors.ts'
import { type Ceiling, ceilingOf } from '../domain/grant.ts'
import { isAlive, stateOf } from '../domain/key-life.ts'
import type { Format } from '../formats/format.ts'
import type { JudgingKey } from '../formats/presented.ts'
import type { Seams } from '../seams.ts'
import type { ApiKey, ChangedRows, Environment, Store } from '../store/store.ts'
import type { Follower } from './follower.ts'
import { grantOf, type HeldKey, holdKey, openPublishableKey, type PublishableKey } from './held-key.ts'
import { openLocalVerifier } from './local-signing.ts'
import { once } from './once.ts'
import type { Sealer } from './sealing.ts'
import { createSigners, type PublicJwk } from './signers.ts'
import type { SignatureCheck, Signer } from './signing-keys.ts'
import { openTurn, type Turn } from './turn.ts'

/** A secret key as a caller presents it: its text, and its id if the caller sent that too. */
export interface Credentials {
  readonly text: string
  readonly keyId: string | undefined
}

/** A secret key that is alive, with its environment and what it may do. */
export interface Caller {
  readonly key: HeldKey
  readonly environment: Environment
  readonly ceiling: Ceiling
}

/** Tells whether a key made a signature, and what a judge has to know of that key. */
export type TokenVerifier = SignatureCheck & JudgingKey

/** Every environment and key in memory, as the follower tells of them. */
export interface Keyring {
  /**
   * The living secret key that these credentials are. Its environment may be archived.
   *
   * @throws JetonError `key_malformed` `key_unknown` `key_kind_wrong` `key_revoked` `key_expired`
   *   `cannot_mint_with_token`, or `store_unavailable` when the keys could not be checked for too long
   */
  authenticate(credentials: Credentials): Caller
  /**
   * Lets an admin key through: one that is configured or, where none is, the one that a first start made.
   *
   * @throws JetonError `key_malformed` `key_unknown` `key_kind_wrong`
   */
  authenticateAdmin(text: string): void
  /**
   * What signs tokens of a format now: the key that was imported for it, else one of the environment's own with the
   * algorithm that the environment prescribes, else with the format's. A key whose time is over never does.
   *
   * @throws JetonError `store_unavailable` when no key may sign
   */
  signer(environment: Environment, format: Pick<Format, 'name' | 'algorithm'>): Signer
  /**
   * What verifies the tokens of an environment that name this `kid`: one of its signing keys, or a secret key whose holder
   * signs by itself and that was not revoked; `undefined` when there is none.
   */
  verifier(environment: Environment, kid: string): TokenVerifier | undefined
  /** The publishable key of this text, whatever its state; `undefined` when there is none. */
  publishableKey(text: string): PublishableKey | undefined
  /** Makes credentials for the environment's TURN server; `undefined` when it has none. */
  turn(environment: Environment): Turn | undefined
  /** Notes durably that a browser sent this secret key. */
  flagExposed(key: HeldKey): Promise<void>
  /**
   * The public keys that an environment's JWKS holds now: none when it is archived, since nothing of it is let in;
   * `undefined` when there is no such environment.
   */
  publicKeys(environmentId: string): readonly PublicJwk[] | undefined
  /** Which of the environments that mint have a key that may sign now; without any environment, all of them have. */
  canSign(): 'everywhere' | 'somewhere' | 'nowhere'
  /** Every secret and publishable key that lives now, those of archived environments aside. */
  livingKeys(): Iterable<HeldKey>
}

interface KeyringDeps {
  readonly store: Store
  readonly follower: Follower
  readonly sealer: Sealer
  readonly seams: Seams
  /** The texts of the admin keys that are configured. */
  readonly adminKeys: readonly string[]
}

/** A JWT in compact form, or a client token that carries one. */
const TOKEN = /^ek_|^eyJ[\w-]*\.[\w-]+\.[\w-]*$/

/** The ceiling of a key that was made without a grant. */
const UNLIMITED = ceilingOf({})

export function createKeyring({ store, follower, sealer, seams, adminKeys }: KeyringDeps): Keyring {
  const environments = new Map<string, Environment>()
  const keysByDigest = new Map<string, HeldKey>()
  /** By id: the secret keys whose holders sign by themselves. */
  const localKeys = new Map<string, ApiKey>()
  const localVerifiers = new WeakMap<
    ApiKey,
    { environment: Environment; verifier: TokenVerifier | undefined }
  >()
  const signers = createSigners(sealer)
  const turns = new WeakMap<Environment, Turn>()
  const ceilings = new WeakMap<HeldKey, Ceiling>()
  const publishableKeys = new WeakMap<HeldKey, PublishableKey>()
  const configuredAdmins = adminKeys.map(digestOfKey)
  let storedAdmins: readonly string[] = []

  follower.tell(take)
  return {
    authenticate,
    authenticateAdmin,
    signer,
    verifier,
    publishableKey,
    turn,
    flagExposed,
    publicKeys,
    canSign,
    livingKeys,
  }

  function authenticate({ text, keyId }: Credentials): Caller {
    if (follower.knowledge() === 'stale') {
      throw new JetonError('store_unavailable', 'The keys could not be checked for too long. Try again soon.')
    }
    const key = keysByDigest.get(digestOfKey(text))
    const environment = key && environments.get(key.environmentId)
    if (key === undefined || environment === undefined) throw notFound(text)
    if (key.kind !== 'secret') throw wrongKind(key.kind)
    if (keyId !== undefined && keyId !== key.id) {
      throw new JetonError('key_unknown', 'The key id and the secret do not belong together.')
    }
    refuseEnded(key, seams.now())
    return {
      key,
      environment,
      ceiling:
        key.grantJson === undefined ? UNLIMITED : once(ceilings, key, (used) => ceilingOf(grantOf(used))),
    }
  }

  function authenticateAdmin(text: string): void {
    const digest = Buffer.from(digestOfKey(text))
    // The one that a first start made is for where none is configured, so that it ends when one is.
    const admins = configuredAdmins.length > 0 ? configuredAdmins : storedAdmins
    const matches = admins.filter((known) => timingSafeEqual(Buffer.from(known), digest))
    if (matches.length > 0) return
    const kind = kindOfKey(text)
    if (kind === undefined) throw malformed()
    if (kind !== 'admin') throw wrongKind(kind, 'an admin key (ak_…)')
    throw new JetonError('key_unknown', 'No admin key like this is known here.')
  }

  function signer(environment: Environment, { name, algorithm }: Pick<Format, 'name' | 'algorithm'>): Signer {
    const asked = { format: name, algorithm: environment.signingAlgorithm ?? algorithm }
    const found = signers.signerFor(environment.id, asked, seams.now())
    if (found === undefined)
      throw new JetonError('store_unavailable', 'This environment has no key that may sign.')
    return found
  }

  function verifier(environment: Environment, kid: string): TokenVerifier | undefined {
    return signers.verifierFor(environment.id, kid, seams.now()) ?? localVerifier(environment, kid)
  }

  function localVerifier(environment: Environment, kid: string): TokenVerifier | undefined {
    const key = localKeys.get(kid)
    if (key?.environmentId !== environment.id || stateOf(key, seams.now()) === 'revoked') return undefined
    // The environment's settings bind it too, so that one that was opened under older ones is opened again.
    const opened = localVerifiers.get(key)
    if (opened?.environment === environment) return opened.verifier
    const verifier = openLocalVerifier(key, environment, sealer)
    localVerifiers.set(key, { environment, verifier })
    return verifier
  }

  function publishableKey(text: string): PublishableKey | undefined {
    const key = keysByDigest.get(digestOfKey(text))
    return key?.kind === 'publishable' ? once(publishableKeys, key, openPublishableKey) : undefined
  }

  function turn(environment: Environment): Turn | undefined {
    if (environment.turn === undefined) return undefined
    return once(turns, environment, (used) => openTurn(used, sealer))
  }

  async function flagExposed(key: HeldKey): Promise<void> {
    if (key.exposedAt !== undefined) return
    await store.change(async (changes) => {
      // Asked again inside: another process may have been first, and the first time stays.
      const known = await changes.findApiKey(key.id)
      if (known?.exposedAt === undefined) await changes.updateApiKey(key.id, { exposedAt: seams.now() })
    })
    await follower.catchUp()
  }

  function take(rows: ChangedRows): void {
    if (rows.anew) forgetAll()
    for (const environment of rows.environments ?? []) environments.set(environment.id, environment)
    for (const key of rows.apiKeys ?? []) {
      const environmentId = environments.get(key.environmentId)?.id ?? key.environmentId
      keysByDigest.set(key.digest, holdKey(key, environmentId))
      if (key.sealedSecret !== undefined) localKeys.set(key.id, key)
    }
    for (const key of rows.signingKeys ?? []) signers.put(key)
    if (rows.adminKeys !== undefined) storedAdmins = rows.adminKeys.map(({ digest }) => digest)
  }

  function forgetAll(): void {
    environments.clear()
    keysByDigest.clear()
    localKeys.clear()
    signers.clear()
  }

  function publicKeys(environmentId: string): readonly PublicJwk[] | undefined {
    const environment = environments.get(environmentId)
    if (environment === undefined) return undefined
    return environment.archivedAt === undefined ? signers.publicKeys(environmentId, seams.now()) : []
  }

  function canSign(): 'everywhere' | 'somewhere' | 'nowhere' {
    const now = seams.now()
    const living = [...environments.values()].filter(({ archivedAt }) => archivedAt === undefined)
    const signing = living.filter(({ id }) => signers.canSign(id, now)).length
    return signing === living.length ? 'everywhere' : signing > 0 ? 'somewhere' : 'nowhere'
  }

  function* livingKeys(): Generator<HeldKey> {
    const now = seams.now()
    for (const key of keysByDigest.values()) {
      if (isAlive(key, now) && environments.get(key.environmentId)?.archivedAt === undefined) yield key
    }
  }
}

function notFound(text: string): JetonError {
  if (TOKEN.test(text)) {
    return new JetonError(
      'cannot_mint_with_token',
      'This is a token, and a token cannot mint: send a secret key (sk_…).',
    )
  }
  const kind = kindOfKey(text)
  if (kind === undefined) return malformed()
  if (kind !== 'secret') return wrongKind(kind)
  return new JetonError('key_unknown', 'No key like this exists here.')
}

function malformed(): JetonError {
  return new JetonError('key_malformed', 'The key is mistyped or cut short: its checksum does not match.')
}

const NAMES = { secret: 'a secret', publishable: 'a publishable', admin: 'an admin' } as const

function wrongKind(kind: KeyKind, needed = 'a secret key (sk_…)'): JetonError {
  return new JetonError('key_kind_wrong', `This is ${NAMES[kind]} key; ${needed} is needed here.`)
}

function refuseEnded(key: HeldKey, now: number): void {
  const state = stateOf(key, now)
  if (state === 'revoked') throw new JetonError('key_revoked', 'The key was revoked.')
  if (state === 'expired') throw new JetonError('key_expired', 'The key has expired.')
}
