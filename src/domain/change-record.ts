import { chainLine, type Head } from './chain.ts'

/** Who changes something. */
export interface Actor {
  /** `server`: by itself, as at a first start or when a browser shows it a secret key. */
  readonly by: 'admin key' | 'secret key' | 'command line' | 'server'
  /** Which secret key. */
  readonly keyId?: string | undefined
  /** The system's name of whoever ran the command. */
  readonly user?: string | undefined
  /** Of the request that asked for it. */
  readonly requestId?: string | undefined
  /** Where that came from. */
  readonly address?: string | undefined
}

/** One thing that changed: never a secret, its digest, or what is sealed. */
export interface NotedChange {
  /** For people, like `secret key revoked`. */
  readonly what: string
  readonly environmentId?: string | undefined
  /** Of a secret or publishable key. */
  readonly keyId?: string | undefined
  /** Of a signing key. */
  readonly kid?: string | undefined
  /** Whose tokens were revoked. */
  readonly subject?: string | undefined
  /** Of a token that was revoked. */
  readonly jti?: string | undefined
  /** What it is set to; `null` for what was taken away. */
  readonly set?: Readonly<Record<string, unknown>> | undefined
}

/** A change of the database, before it has its place in the chain. */
export interface ChangeDraft {
  /** In ISO 8601. */
  readonly at: string
  readonly revision: number
  readonly actor: Actor
  readonly changes: readonly NotedChange[]
}

/** What a record is found by. */
export type Aspect = 'environment' | 'key' | 'subject' | 'jti'

/** A record of a change as the database keeps it. */
export interface ChangeRecord {
  readonly revision: number
  readonly n: number
  readonly at: string
  /** One line of JSON, which the next record names by its hash. */
  readonly line: string
  readonly sha256: string
}

/** The last record of a change. */
export interface ChangeHead extends Head {
  readonly revision: number
}

/** The record that comes behind `before`. */
export function recordChange(before: Head, { at, revision, actor, changes }: ChangeDraft): ChangeRecord {
  const { by, keyId, user, requestId, address } = actor
  const members = { type: 'changed', revision, by, keyId, user, requestId, address, changes }
  const { line, head } = chainLine(before, at, JSON.stringify(members).slice(1))
  return { revision, at, line, ...head }
}

/** What a record is found by, each once: whatever it is about, and the key whose holder asked for it. */
export function aspectsOf(
  { keyId }: Pick<Actor, 'keyId'>,
  changes: readonly Omit<NotedChange, 'what' | 'set'>[],
): [Aspect, string][] {
  const found = new Map<string, [Aspect, string]>()
  note('key', keyId)
  for (const change of changes) {
    note('environment', change.environmentId)
    note('key', change.keyId)
    note('key', change.kid)
    note('subject', change.subject)
    note('jti', change.jti)
  }
  return [...found.values()]

  function note(aspect: Aspect, value: string | undefined): void {
    if (value !== undefined) found.set(`${aspect} ${value}`, [aspect, value])
  }
}
