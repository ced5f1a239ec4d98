import { type Expression, type Kysely, sql, type Transaction } from 'kysely'
import { z } from 'zod'
import type { NotedChange } from '../domain/change-record.ts'
import { JetonError } from '../domain/errors.ts'
import { apiKeyOf, apiKeysMadeAt, livingKeyNamed } from './api-keys.ts'
import {
  apiKeyChanged,
  apiKeyCreated,
  environmentChanged,
  environmentCreated,
  signingKeyChanged,
  signingKeyCreated,
  tokensRevoked,
} from './notes.ts'
import {
  adminKeyToRow,
  apiKeyToRow,
  environmentRow,
  environmentToRow,
  revocationRow,
  type Schema,
  signingKeyRow,
  signingKeyToRow,
} from './rows.ts'
import type { ChangeSet } from './store.ts'

const ONLY_ROW = 1

/**
 * What a change may do in its transaction.
 *
 * @param note is told of every row that is written but for what nothing follows from: calls that are remembered, and
 *   revocations that ended and are forgotten
 */
export function changeSet(
  transaction: Transaction<Schema>,
  revision: number,
  note: (change: NotedChange) => void,
): ChangeSet {
  return {
    async countEnvironments() {
      const { count } = await transaction
        .selectFrom('environment')
        .select((row) => row.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      return Number(count)
    },
    async keepDataKey(sealed) {
      const row = { id: ONLY_ROW, sealed: Buffer.from(sealed).toString('base64url') }
      const { numInsertedOrUpdatedRows = 0n } = await transaction
        .insertInto('dataKey')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      if (numInsertedOrUpdatedRows > 0n) note({ what: 'data key created' })
      const kept = await transaction.selectFrom('dataKey').select('sealed').executeTakeFirstOrThrow()
      return Buffer.from(kept.sealed, 'base64url')
    },
    async insertAdminKey(key) {
      await transaction.insertInto('adminKey').values(adminKeyToRow(key)).execute()
      note({ what: 'admin key created' })
    },
    async findEnvironment(id) {
      return await environmentOf(transaction, id)
    },
    async insertEnvironment(environment) {
      await transaction
        .insertInto('environment')
        .values({ ...environmentToRow(environment), revision })
        .execute()
      note(environmentCreated(environment))
    },
    async insertApiKey(key) {
      await transaction
        .insertInto('apiKey')
        .values({ ...apiKeyToRow(key), revision })
        .execute()
      note(apiKeyCreated(key))
    },
    async insertSigningKey(key) {
      await transaction
        .insertInto('signingKey')
        .values({ ...signingKeyToRow(key), revision })
        .execute()
      note(signingKeyCreated(key))
    },
    async findIdempotentCall(id, since) {
      return await transaction
        .selectFrom('idempotentCall')
        .selectAll()
        .where('id', '=', id)
        .where('createdAt', '>', since)
        .executeTakeFirst()
    },
    async keepIdempotentCall(call, since) {
      await transaction.deleteFrom('idempotentCall').where('createdAt', '<=', since).execute()
      await transaction
        .insertInto('idempotentCall')
        .values({ ...call })
        .execute()
    },
    revision,
    async findRevocation(environmentId, kind, value) {
      const row = await transaction
        .selectFrom('revocation')
        .selectAll()
        .where('environmentId', '=', environmentId)
        .where('kind', '=', kind)
        .where('value', '=', value)
        .executeTakeFirst()
      return row === undefined ? undefined : revocationRow.parse(row)
    },
    async keepRevocation(revocation, now) {
      const { environmentId, kind, value, before, until } = revocation
      await transaction.deleteFrom('revocation').where('until', '<=', now).execute()
      await transaction
        .insertInto('revocation')
        .values({ environmentId, kind, value, before: before ?? null, until, revision })
        .onConflict((conflict) =>
          conflict.columns(['environmentId', 'kind', 'value']).doUpdateSet((row) => ({
            before: later(row.ref('revocation.before'), row.ref('excluded.before')),
            until: later(row.ref('revocation.until'), row.ref('excluded.until')),
            revision: row.ref('excluded.revision'),
          })),
        )
        .execute()
      note(tokensRevoked(revocation))
    },
    async findApiKey(id) {
      return await apiKeyOf(transaction, id)
    },
    async findLivingKeyNamed(environmentId, name, now) {
      return await livingKeyNamed(transaction, environmentId, name, now)
    },
    async listApiKeysOf(environmentId, createdAt) {
      return await apiKeysMadeAt(transaction, environmentId, createdAt)
    },
    async listSigningKeys(environmentId) {
      return await signingKeysOf(transaction, environmentId)
    },
    async updateEnvironment(id, change) {
      const row = await this.findEnvironment(id)
      if (row === undefined) throw new JetonError('not_found', 'There is no such environment.')
      const changed = { ...environmentToRow({ ...row, ...change }), revision }
      await transaction.updateTable('environment').set(changed).where('id', '=', id).execute()
      note(environmentChanged(row, change))
    },
    async updateApiKey(id, change) {
      const row = await this.findApiKey(id)
      if (row === undefined) throw new JetonError('not_found', 'There is no such key.')
      const changed = { ...apiKeyToRow({ ...row, ...change }), revision }
      await transaction.updateTable('apiKey').set(changed).where('id', '=', id).execute()
      note(apiKeyChanged(row, change))
    },
    async updateSigningKey(environmentId, kid, change) {
      const keys = await this.listSigningKeys(environmentId)
      const row = keys.find((key) => key.kid === kid)
      if (row === undefined) throw new JetonError('not_found', 'There is no such signing key.')
      const changed = { ...signingKeyToRow({ ...row, ...change }), revision }
      await transaction
        .updateTable('signingKey')
        .set(changed)
        .where('environmentId', '=', environmentId)
        .where('kid', '=', kid)
        .execute()
      note(signingKeyChanged(row, change))
    },
  }
}

function later<Value>(kept: Expression<Value>, added: Expression<Value>) {
  return sql<Value>`case when ${kept} > ${added} then ${kept} else ${added} end`
}

export async function environmentOf(db: Kysely<Schema>, id: string) {
  const row = await db.selectFrom('environment').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : environmentRow.parse(row)
}

export async function signingKeysOf(db: Kysely<Schema>, environmentId: string) {
  const rows = await db
    .selectFrom('signingKey')
    .selectAll()
    .where('environmentId', '=', environmentId)
    .orderBy('signsFrom')
    .orderBy('kid')
    .execute()
  return z.array(signingKeyRow).parse(rows)
}
