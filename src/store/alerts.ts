import type { Kysely, Transaction } from 'kysely'
import { z } from 'zod'
import type { AlertStore, Notice } from './alert-contract.ts'
import { alertNoticeRow, alertRow, type Schema } from './rows.ts'
import { takeWriteLock } from './write-lock.ts'

interface AlertStoreDeps {
  readonly reader: Kysely<Schema>
  readonly inTransaction: <T>(work: (transaction: Transaction<Schema>) => Promise<T>) => Promise<T>
}

/** Alerts and their notices. No key changes with them, so the revision stays. */
export function createAlertStore({ reader, inTransaction }: AlertStoreDeps): AlertStore {
  return {
    async list(closedSince) {
      const rows = await reader
        .selectFrom('alert')
        .selectAll()
        .where((row) => row.or([row('closedMinute', 'is', null), row('closedMinute', '>=', closedSince)]))
        .orderBy('minute')
        .orderBy('id')
        .execute()
      return z.array(alertRow).parse(rows)
    },

    raise: (alert, notice) =>
      inTransaction(async (transaction) => {
        await takeWriteLock(transaction)
        const { numInsertedOrUpdatedRows } = await transaction
          .insertInto('alert')
          .values({ ...alert, closedMinute: null, why: null, peak: null })
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirstOrThrow()
        return await keepIf(transaction, numInsertedOrUpdatedRows, notice)
      }),

    close: (id, end, notice) =>
      inTransaction(async (transaction) => {
        await takeWriteLock(transaction)
        const { numUpdatedRows } = await transaction
          .updateTable('alert')
          .set(end)
          .where('id', '=', id)
          .where('closedMinute', 'is', null)
          .executeTakeFirstOrThrow()
        return await keepIf(transaction, numUpdatedRows, notice)
      }),

    async forget(minute) {
      const old = await reader
        .selectFrom('alert')
        .select('id')
        .where('closedMinute', '<', minute)
        .executeTakeFirst()
      if (old === undefined) return
      await inTransaction(async (transaction) => {
        await takeWriteLock(transaction)
        await transaction.deleteFrom('alert').where('closedMinute', '<', minute).execute()
      })
    },

    async takeNotice(now, until) {
      // Most looks find nothing, and need not wait for who writes.
      if ((await nextDue(reader, now)) === undefined) return undefined
      return await inTransaction(async (transaction) => {
        await takeWriteLock(transaction)
        const due = await nextDue(transaction, now)
        if (due === undefined) return undefined
        const taken = { attempts: due.attempts + 1, dueAt: until }
        await transaction.updateTable('alertNotice').set(taken).where('id', '=', due.id).execute()
        return { ...due, ...taken }
      })
    },

    postponeNotice: (id, dueAt) =>
      inTransaction(async (transaction) => {
        await takeWriteLock(transaction)
        await transaction.updateTable('alertNotice').set({ dueAt }).where('id', '=', id).execute()
      }),

    dropNotice: (id) =>
      inTransaction(async (transaction) => {
        await takeWriteLock(transaction)
        await transaction.deleteFrom('alertNotice').where('id', '=', id).execute()
      }),
  }
}

async function keepIf(
  transaction: Transaction<Schema>,
  rows: bigint | undefined,
  notice: Parameters<AlertStore['raise']>[1],
): Promise<boolean> {
  const isOurs = Number(rows ?? 0) > 0
  if (isOurs && notice !== undefined) {
    const { id, body, createdAt } = notice
    await transaction
      .insertInto('alertNotice')
      .values({ id, body, createdAt, attempts: 0, dueAt: createdAt })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  return isOurs
}

async function nextDue(db: Kysely<Schema>, now: number): Promise<Notice | undefined> {
  const row = await db
    .selectFrom('alertNotice')
    .selectAll()
    .where('dueAt', '<=', now)
    .orderBy('dueAt')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? undefined : alertNoticeRow.parse(row)
}
