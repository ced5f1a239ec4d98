import type { Head } from '../domain/chain.ts'
import { type ErrorCode, JetonError } from '../domain/errors.ts'
import type { Claims } from '../formats/format.ts'

export type { Head } from '../domain/chain.ts'

/** One issued token. It is named by its `jti`; the token itself is nowhere here. */
export interface Issuance {
  readonly environmentId: string
  readonly keyId: string
  readonly format: string
  readonly subject: string
  readonly jti: string
  /** What was granted. */
  readonly policy: Claims
  readonly ttlSeconds: number
  /** Unix seconds. */
  readonly expiresAt: number
  /** How long the token is; `undefined` for what is no token. */
  readonly bytes: number | undefined
  /** The address of the backend that asked. */
  readonly address: string
  /** The end user's, if the backend passed it on. */
  readonly endUserAddress: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string
}

/** A living key that asked for a token and got none. */
export interface Refusal {
  readonly environmentId: string
  readonly keyId: string
  readonly format: string
  readonly code: ErrorCode
  /** Whom the token would have been for, where the request got so far. */
  readonly subject: string | undefined
  readonly address: string
  readonly endUserAddress: string | undefined
  readonly userAgent: string | undefined
  readonly requestId: string
}

/** An alert that was raised, or closed. */
export interface AlertRecord {
  readonly event: 'raised' | 'closed'
  readonly alertId: string
  readonly environmentId: string
  /** `undefined` for the environment as a whole. */
  readonly keyId: string | undefined
  /** The minute that rang, in ISO 8601. */
  readonly minute: string
  /** What had been issued in it when it rang. */
  readonly issued: number
  /** The median minute of the hour before. */
  readonly median: number
  /** The last minute that was looked at when it was closed, in ISO 8601. */
  readonly closedMinute?: string
  /** Why it was closed. */
  readonly why?: string
  /** The highest minute while it was open. */
  readonly peak?: number
}

/** How a journal stands. */
export interface JournalStanding {
  /** Whose chain it is. */
  readonly instance: string
  /** Whether this process has it still: nobody else writes it then. */
  readonly isHeld: boolean
  /** The last record that is safe. */
  readonly head: Head
  /** What waits to be written. */
  readonly backlogBytes: number
}

/** The outcome of what was not refused. */
export const ISSUED = 'issued'

/** What happened to one key. */
export interface Countable {
  readonly environmentId: string
  readonly keyId: string
  readonly format: string
  /** `issued`, or the code of the refusal. */
  readonly outcome: string
  readonly count: number
  /** Whom a token is for; `undefined` when it names nobody. */
  readonly subject: string | undefined
}

/** What is to be counted of an issuance. */
export function countOfIssuance({ environmentId, keyId, format, subject }: Issuance): Countable {
  // A token that names nobody has its key in the place of a subject.
  const named = subject === keyId ? undefined : subject
  return { environmentId, keyId, format, outcome: ISSUED, count: 1, subject: named }
}

/** What is to be counted of a refusal: nobody was given anything. */
export function countOfRefusal({ environmentId, keyId, format, code }: Refusal): Countable {
  return { environmentId, keyId, format, outcome: code, count: 1, subject: undefined }
}

/** A record as it is counted. */
export interface CountedRecord {
  /** Unix milliseconds. */
  readonly at: number
  readonly counts: readonly Countable[]
}

/** A place between two records of a chain. */
export interface FilePlace {
  /** Of the file. */
  readonly seq: number
  /** How much of it lies before. */
  readonly bytes: number
}

/** Records that were written at once and are safe now. */
export interface WrittenBatch {
  /** Whose chain they stand in. */
  readonly instance: string
  /** The number of the record that they follow; what stands between counts nothing. */
  readonly after: number
  /** The number of the last one. */
  readonly upTo: number
  /** Where that one ends. */
  readonly end: FilePlace
  readonly records: readonly CountedRecord[]
  /** From the beginning of the write until the disk has it. */
  readonly seconds: number
}

/** Where every issuance is recorded, before its token leaves. */
export interface Journal {
  /** Whether records can be written now. */
  isAvailable(): boolean
  /**
   * Comes back once the record is as safe as this journal makes it.
   *
   * @throws JetonError `journal_unavailable` when it cannot be written: the token must not leave then
   */
  append(issuance: Issuance): Promise<void> | void
  /** Records a refusal by and by. It never fails, and nobody waits for it. */
  refuse(refusal: Refusal): void
  /** Records an alert by and by. It never fails, and nobody waits for it. */
  alert(alert: AlertRecord): void
  /** `undefined` for a journal that keeps no chain. */
  standing(): JournalStanding | undefined
  /** Writes what is left, and says that this was the end: whatever comes behind that is refused, or left out. */
  close(): Promise<void>
}

/** The 503 for a token whose record cannot be written. The reason is in the log, once and not for every token. */
export function journalUnavailable(): JetonError {
  return new JetonError(
    'journal_unavailable',
    'The record of this token cannot be written. Try again soon.',
    { retryAfterSeconds: 1 },
  )
}
