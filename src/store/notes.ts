import type { NotedChange } from '../domain/change-record.ts'
import type { Revocation } from '../domain/revocation.ts'
import type {
  ApiKey,
  ApiKeyChange,
  Environment,
  EnvironmentChange,
  SigningKey,
  SigningKeyChange,
} from './store.ts'

// What the record of a change tells of the rows that it wrote. Each member of a row is named here, told or left out: what
// is secret, sealed or a digest, and the text of a key, never stands in a record.

type Told = Readonly<Record<string, unknown>>

function ofEnvironment({ turn, archivedAt, name, tag, signingAlgorithm, settings }: Environment) {
  const server = turn === undefined ? undefined : { urls: turn.urls }
  return {
    name,
    tag,
    signingAlgorithm,
    turn: server,
    settings,
    archivedAt: moment(archivedAt),
  } satisfies Record<Exclude<keyof Environment, 'id' | 'createdAt'>, unknown>
}

type UntoldOfKey =
  | 'id'
  | 'environmentId'
  | 'kind'
  | 'digest'
  | 'hint'
  | 'text'
  | 'sealedSecret'
  | 'createdAt'
  | 'lastUsedAt'

function ofApiKey({ name, grant, access, successorId, ...key }: ApiKey) {
  return {
    name,
    grant,
    access,
    expiresAt: moment(key.expiresAt),
    revokedAt: moment(key.revokedAt),
    exposedAt: moment(key.exposedAt),
    successorId,
  } satisfies Record<Exclude<keyof ApiKey, UntoldOfKey>, unknown>
}

function ofSigningKey({ algorithm, format, ...key }: SigningKey) {
  return {
    algorithm,
    format,
    signsFrom: moment(key.signsFrom),
    signsUntil: moment(key.signsUntil),
    verifiesUntil: moment(key.verifiesUntil),
    exportedAt: moment(key.exportedAt),
  } satisfies Record<
    Exclude<keyof SigningKey, 'environmentId' | 'kid' | 'sealedSecret' | 'publicJwk' | 'createdAt'>,
    unknown
  >
}

export function environmentCreated(environment: Environment): NotedChange {
  return { what: 'environment created', environmentId: environment.id, set: ofEnvironment(environment) }
}

export function environmentChanged(before: Environment, change: EnvironmentChange): NotedChange {
  const after = { ...before, ...change }
  const isSame = after.archivedAt === before.archivedAt
  const verb = isSame ? 'changed' : after.archivedAt === undefined ? 'restored' : 'archived'
  const set = changed(ofEnvironment(after), change)
  return { what: `environment ${verb}`, environmentId: before.id, set }
}

export function apiKeyCreated(key: ApiKey): NotedChange {
  const set = { ...ofApiKey(key), localSigning: key.sealedSecret === undefined ? undefined : true }
  return { what: `${key.kind} key created`, environmentId: key.environmentId, keyId: key.id, set }
}

export function apiKeyChanged(before: ApiKey, change: ApiKeyChange): NotedChange {
  const after = { ...before, ...change }
  const verbs = [
    after.successorId === before.successorId ? [] : ['rotated'],
    after.revokedAt === before.revokedAt ? [] : ['revoked'],
    after.exposedAt === before.exposedAt ? [] : ['exposed'],
  ].flat()
  return {
    what: `${before.kind} key ${verbs.join(', ') || 'changed'}`,
    environmentId: before.environmentId,
    keyId: before.id,
    set: changed(ofApiKey(after), change),
  }
}

export function signingKeyCreated(key: SigningKey): NotedChange {
  const verb = key.format === undefined ? 'created' : 'imported'
  const { environmentId, kid } = key
  return { what: `signing key ${verb}`, environmentId, kid, set: ofSigningKey(key) }
}

export function signingKeyChanged(before: SigningKey, change: SigningKeyChange): NotedChange {
  const after = { ...before, ...change }
  const verb = after.exportedAt === before.exportedAt ? 'changed' : 'exported'
  const { environmentId, kid } = before
  return { what: `signing key ${verb}`, environmentId, kid, set: changed(ofSigningKey(after), change) }
}

export function tokensRevoked({
  environmentId,
  kind,
  value,
  before,
  until,
}: Omit<Revocation, 'revision'>): NotedChange {
  const seconds = (unixSeconds: number | undefined) => unixSeconds && moment(unixSeconds * 1000)
  const set = { before: seconds(before), until: seconds(until) }
  switch (kind) {
    case 'jti':
      return { what: 'token revoked', environmentId, jti: value, set }
    case 'subject':
      return { what: 'tokens of a subject revoked', environmentId, subject: value, set }
    case 'key':
      return { what: 'tokens of a key revoked', environmentId, keyId: value, set }
    default:
      return kind satisfies never
  }
}

// The members that a change names; one that it takes away is told as `null`.
function changed(after: Told, change: object): Told {
  const names = Object.keys(change).filter((name) => name in after)
  return Object.fromEntries(names.map((name) => [name, after[name] ?? null]))
}

/** In ISO 8601, as everywhere in a record. Moments that no date can hold stay numbers. */
function moment(unixMs: number | undefined): string | number | undefined {
  const date = new Date(unixMs ?? 0)
  return unixMs === undefined || Number.isNaN(date.getTime()) ? unixMs : date.toISOString()
}
