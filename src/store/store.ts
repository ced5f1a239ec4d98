import type { ChangeHead, ChangeRecord } from '../domain/change-record.ts'
import type { Grant } from '../domain/grant.ts'
import type { Limit } from '../domain/limit.ts'
import type { Revocation } from '../domain/revocation.ts'
import type { AlertStore, CourseReads } from './alert-contract.ts'
import type { UsageStore } from './usage-contract.ts'

export type { Alert, AlertStore, CourseReads, NewNotice, Notice } from './alert-contract.ts'
export type {
  MinuteCount,
  MinuteRange,
  SubjectSketch,
  UsageBatch,
  UsageCount,
  UsageGrain,
  UsageStore,
} from './usage-contract.ts'

/** An isolated workspace: its keys, tokens, users and usage. All times in this file are unix milliseconds. */
export interface Environment {
  readonly id: string
  readonly name: string
  /** Stands in the text of the environment's keys. */
  readonly tag: string
  /** What signs all of its tokens, whatever their format; `undefined` leaves it to the format. */
  readonly signingAlgorithm: SigningAlgorithm | undefined
  readonly turn: TurnServer | undefined
  readonly settings: EnvironmentSettings
  readonly createdAt: number
  /** An archived environment mints nothing, and nothing of it is let in; its data stays. */
  readonly archivedAt: number | undefined
}

/** What an environment does otherwise than by default. A member that is left out is the default. */
export interface EnvironmentSettings {
  /** By format; never above the format's own. */
  readonly lifetimes?: Readonly<Record<string, LifetimeSettings | undefined>> | undefined
  readonly subjectLimit?: Limit | undefined
  /** Lets browsers use secret keys: for development. */
  readonly allowBrowserSecrets?: boolean | undefined
}

export interface LifetimeSettings {
  readonly defaultSeconds?: number | undefined
  readonly longestSeconds?: number | undefined
}

/** A TURN server whose shared secret an environment holds. */
export interface TurnServer {
  readonly urls: readonly string[]
  /** Sealed, and bound to the environment. */
  readonly sealedSecret: Uint8Array
}

/** A secret or publishable key, as it is kept: never its text in the clear, if that is secret. */
export interface ApiKey {
  readonly id: string
  readonly environmentId: string
  readonly kind: 'secret' | 'publishable'
  /** `digestOfKey` of the text. */
  readonly digest: string
  readonly hint: string
  /** The whole text of a publishable key, which is no secret. */
  readonly text: string | undefined
  /** What a secret key may do at most; `undefined` when it is not limited. */
  readonly grant: Grant | undefined
  /** What a publishable key lets its holder do by itself; `undefined` when it only names the environment. */
  readonly access: Access | undefined
  /** The secret key's text, sealed and bound to this row, if its holder may sign tokens by itself. */
  readonly sealedSecret: Uint8Array | undefined
  /** What people call it. */
  readonly name: string | undefined
  readonly createdAt: number
  readonly expiresAt: number | undefined
  readonly revokedAt: number | undefined
  /** When a browser was first seen with this secret key. */
  readonly exposedAt: number | undefined
  /** The key that took its place when it was rotated. */
  readonly successorId: string | undefined
  /** To the minute. Kept without counting the revision up: nothing follows from it. */
  readonly lastUsedAt: number | undefined
}

/** What a publishable key carries: every holder has the same. */
export interface Access {
  readonly channels: readonly string[]
  readonly actions: readonly string[]
  /** Canonical origins, `https://*.example.com`, or `*` alone for any. */
  readonly allowedOrigins: readonly string[]
}

export type SigningAlgorithm = 'HS256' | 'EdDSA'

/** What signs an environment's tokens. */
export interface SigningKey {
  readonly environmentId: string
  /** Unique within its environment. */
  readonly kid: string
  /** The one format that an imported key signs; `undefined` for the environment's own keys. */
  readonly format: string | undefined
  readonly algorithm: SigningAlgorithm
  /** The HS256 secret, or the Ed25519 private key in PKCS #8, sealed and bound to this row. */
  readonly sealedSecret: Uint8Array
  /** The Ed25519 public key as a JWK in JSON. */
  readonly publicJwk: string | undefined
  readonly createdAt: number
  /** It is published from the moment it was made, signs from here … */
  readonly signsFrom: number
  /** … to here, once another one takes over … */
  readonly signsUntil: number | undefined
  /** … and its tokens are verified until here. */
  readonly verifiesUntil: number | undefined
  /** When its secret was last handed out, so that somebody else can mint with it. */
  readonly exportedAt: number | undefined
}

/** An admin key that was generated at a first run. */
export interface AdminKey {
  readonly digest: string
  readonly hint: string
  readonly createdAt: number
}

/** Some of the rows that came or changed after a revision, all of one kind. */
export interface ChangedRows {
  /** These are all the rows there are, of every kind: what was told before is over. */
  readonly anew?: true
  readonly environments?: readonly Environment[]
  readonly apiKeys?: readonly ApiKey[]
  readonly signingKeys?: readonly SigningKey[]
  readonly revocations?: readonly Revocation[]
  /** All of them: they are few, and nothing changes them. */
  readonly adminKeys?: readonly AdminKey[]
  /** Where the records of all changes end; `undefined` as long as there is none. */
  readonly recordHead?: ChangeHead | undefined
}

/** Which records of changes are looked for: those that fit in every member that is there. */
export interface ChangeQuestion {
  readonly environmentId?: string | undefined
  /** A secret, publishable or signing key that changed, or a secret key whose holder changed something. */
  readonly keyId?: string | undefined
  /** Whose tokens were revoked. */
  readonly subject?: string | undefined
  /** Of a token that was revoked. */
  readonly jti?: string | undefined
  /** Unix milliseconds, the first one that counts. */
  readonly since?: number | undefined
  /** Unix milliseconds, the first one that no longer counts. */
  readonly until?: number | undefined
}

/** A record as it was found, and by what it is looked for. */
export interface ChangeFound extends ChangeRecord {
  readonly aspects: readonly (readonly [aspect: string, value: string])[]
}

/** Rows that were written by a revision of which there is no record. */
export interface Unrecorded {
  /** What they are, for people. */
  readonly what: string
  readonly revision: number
}

/**
 * The records of all changes, for who only reads them: no master key is needed, and whoever writes goes on. A database
 * of before there were such records has none.
 */
export interface ChangeRecords {
  /** Those that fit, by the time that they tell. What is asked for is looked up, not searched for. */
  find(question: ChangeQuestion): AsyncIterable<ChangeRecord>
  /** Those behind a revision, one after another. */
  after(revision: number): AsyncIterable<ChangeFound>
  /** The newest, the oldest of them first. */
  last(count: number): Promise<readonly ChangeRecord[]>
  /** What was written since there are records, and by none of them. */
  unrecorded(): Promise<readonly Unrecorded[]>
  close(): Promise<void>
}

/** A creating call that was answered. */
export interface IdempotentCall {
  /** The caller's `Idempotency-Key`, digested. */
  readonly id: string
  /** Tells whether another call with the same key asked for the same. */
  readonly fingerprint: string
  /** The answer as JSON, without its secrets. */
  readonly result: string
  readonly createdAt: number
}

export type EnvironmentChange = Partial<
  Pick<Environment, 'name' | 'signingAlgorithm' | 'turn' | 'settings' | 'archivedAt'>
>
export type ApiKeyChange = Partial<
  Pick<ApiKey, 'name' | 'grant' | 'access' | 'expiresAt' | 'revokedAt' | 'exposedAt' | 'successorId'>
>
export type SigningKeyChange = Partial<
  Pick<SigningKey, 'signsFrom' | 'signsUntil' | 'verifiesUntil' | 'exportedAt'>
>

/** A part of a list of keys, oldest first: at most `limit` of those behind `after`. */
export interface KeyPage {
  readonly after?: Pick<ApiKey, 'createdAt' | 'id'> | undefined
  readonly limit: number
}

/** Writes within one transaction: all of them happen, and are recorded, or none. */
export interface ChangeSet {
  /** How many environments there are. */
  countEnvironments(): Promise<number>
  /** Keeps this sealed data key when the database has none yet, and gives back the one that it has then. */
  keepDataKey(sealed: Uint8Array): Promise<Uint8Array>
  findEnvironment(id: string): Promise<Environment | undefined>
  insertEnvironment(environment: Environment): Promise<void>
  insertApiKey(key: ApiKey): Promise<void>
  insertSigningKey(key: SigningKey): Promise<void>
  insertAdminKey(key: AdminKey): Promise<void>
  /** The call with this id, if it was made after `since`. */
  findIdempotentCall(id: string, since: number): Promise<IdempotentCall | undefined>
  /** Keeps a call, in place of an older one with its id, and forgets all that are not after `since`. */
  keepIdempotentCall(call: IdempotentCall, since: number): Promise<void>
  findApiKey(id: string): Promise<ApiKey | undefined>
  /** A key of an environment that is called so and has not ended at `now`, if there is one. */
  findLivingKeyNamed(environmentId: string, name: string, now: number): Promise<ApiKey | undefined>
  /** Those of an environment's keys that were made at this moment. */
  listApiKeysOf(environmentId: string, createdAt: number): Promise<readonly ApiKey[]>
  listSigningKeys(environmentId: string): Promise<readonly SigningKey[]>
  /** The revocation of the same tokens that is there already. */
  findRevocation(
    environmentId: string,
    kind: Revocation['kind'],
    value: string,
  ): Promise<Revocation | undefined>
  /** Keeps a revocation; one for the same tokens that is there already only grows. Forgets those that ended by `now`. */
  keepRevocation(revocation: Omit<Revocation, 'revision'>, now: number): Promise<void>
  /** The revision of this change. */
  readonly revision: number
  /** @throws JetonError `not_found` when there is no such environment */
  updateEnvironment(id: string, change: EnvironmentChange): Promise<void>
  /** @throws JetonError `not_found` when there is no such key */
  updateApiKey(id: string, change: ApiKeyChange): Promise<void>
  /** @throws JetonError `not_found` when there is no such key */
  updateSigningKey(environmentId: string, kid: string, change: SigningKeyChange): Promise<void>
}

/**
 * The durable truth about environments and keys. One contract, one implementation, any number of databases. What writes
 * waits for other writers for some seconds, and is refused with JetonError `store_unavailable` then, unchanged; what
 * only reads waits for none of them. The same error is thrown while the database is away, or its disk full. If that
 * happens while a change is being written, it may have been made, and the message says so.
 */
export interface Store {
  /**
   * The data key as it lies in the database, or `undefined` in a new one. Changes nothing.
   *
   * @throws StoreError when the database is newer than this program
   */
  sealedDataKey(): Promise<Uint8Array | undefined>
  /**
   * Seals the data key anew, in one transaction that holds the write lock while `work` runs. That one row changes, and
   * is recorded under a revision of its own: what the data key opens is the same.
   *
   * @param work gives the key as it shall lie there; the very same bytes change nothing
   */
  changeDataKey(work: (sealed: Uint8Array) => Promise<Uint8Array>): Promise<void>
  /** Brings the database to this program's schema. Anything else needs that first. */
  prepare(): Promise<void>
  /**
   * Runs `work` in one transaction and counts the revision up in it, so that every process learns of the change. What
   * it wrote, and on whose behalf, is recorded in the same transaction, behind the record of the change before.
   *
   * @throws JetonError `conflict` when a unique value is there already
   */
  change<T>(work: (changes: ChangeSet) => Promise<T>): Promise<T>
  /**
   * Hands every row that has a later revision than `since` to `take`, in parts that are small enough to leave the event
   * loop free: environments first, which the others refer to. A row that changes meanwhile may come now or next time.
   *
   * A database that is at an earlier revision than `since`, or does not have the record `last`, was put back to an earlier
   * state. Everything is handed over then, at once and `anew`, since rows that were there are gone.
   *
   * @param since 0 for everything
   * @param last the `recordHead` that was handed over last
   * @returns the revision to go on from
   */
  readChanges(since: number, take: (rows: ChangedRows) => void, last?: ChangeHead): Promise<number>
  findEnvironment(id: string): Promise<Environment | undefined>
  /** Environments in the order of their ids, after `cursor` if it is given. */
  listEnvironments(page?: { after?: string | undefined; limit: number }): Promise<readonly Environment[]>
  findApiKey(id: string): Promise<ApiKey | undefined>
  /** Those of an environment's keys that were made at this moment. */
  listApiKeysOf(environmentId: string, createdAt: number): Promise<readonly ApiKey[]>
  /** Keys, oldest first: of one environment or of all, a page of them or all. */
  listApiKeys(environmentId: string | undefined, page?: KeyPage): Promise<readonly ApiKey[]>
  listSigningKeys(environmentId: string): Promise<readonly SigningKey[]>
  /**
   * Notes when keys were last used, by id; a later moment that is there already stays. Nothing follows from it, so the
   * revision stays too. It happens part by part: a failure leaves the parts before it.
   */
  noteUses(uses: ReadonlyMap<string, number>): Promise<void>
  readonly usage: UsageStore
  readonly alerts: AlertStore
  readonly courses: CourseReads
  close(): Promise<void>
}
