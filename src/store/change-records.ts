import type { Kysely, Transaction } from 'kysely'
import { GENESIS, type Head } from '../domain/chain.ts'
import {
  type Actor,
  aspectsOf,
  type ChangeHead,
  type NotedChange,
  recordChange,
} from '../domain/change-record.ts'
import type { Schema } from './rows.ts'

/** What a record tells besides the change itself. */
export interface Witness {
  /** Unix milliseconds. */
  now(): number
  /** Who changes something, asked when that begins. */
  actor(): Actor
}

/** For who opens a store without a word on whose behalf. */
export const UNTOLD: Witness = { now: Date.now, actor: () => ({ by: 'server' }) }

/** Few enough that their values fit the parameters of one statement. */
const ASPECTS_AT_ONCE = 1_000

/** What is recorded of a transaction that ends well. */
export interface Change {
  readonly revision: number
  /** Unix milliseconds. */
  readonly at: number
  readonly actor: Actor
  readonly changes: readonly NotedChange[]
}

/** Makes the rows of a record, which comes behind `before`. */
export function recordRows(before: Head, { at, ...change }: Change) {
  const record = recordChange(before, { at: new Date(at).toISOString(), ...change })
  const aspects = aspectsOf(change.actor, change.changes).map(([aspect, value]) => ({
    aspect,
    value,
    revision: change.revision,
  }))
  return { record, aspects }
}

/**
 * Records what a transaction did, as a part of it. It holds the revision's row, so that the record before is the last
 * one. Where nothing changed there is no record.
 */
export async function writeRecord(transaction: Transaction<Schema>, change: Change): Promise<void> {
  if (change.changes.length === 0) return
  const { record, aspects } = recordRows((await lastRecord(transaction)) ?? GENESIS, change)
  await transaction.insertInto('changeRecord').values(record).execute()
  for (let from = 0; from < aspects.length; from += ASPECTS_AT_ONCE) {
    const some = aspects.slice(from, from + ASPECTS_AT_ONCE)
    await transaction.insertInto('changeAspect').values(some).execute()
  }
}

/** Where the chain of records ends. */
export async function lastRecord(db: Kysely<Schema>): Promise<ChangeHead | undefined> {
  return await db
    .selectFrom('changeRecord')
    .select(['revision', 'n', 'sha256'])
    .orderBy('revision', 'desc')
    .limit(1)
    .executeTakeFirst()
}
