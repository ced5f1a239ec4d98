import type { Kysely } from 'kysely'
import { z } from 'zod'
import type { CourseReads } from './alert-contract.ts'
import type { Schema } from './rows.ts'

const ISSUED = 'issued'

const busyKeys = z.array(
  z.object({ environmentId: z.string(), keyId: z.string(), issued: z.coerce.number() }),
)
const busyEnvironments = z.array(
  z.object({ environmentId: z.string(), issued: z.coerce.number(), counts: z.coerce.number() }),
)
const minutes = z.array(z.object({ minute: z.number(), issued: z.coerce.number() }))

/** See `CourseReads`. Each is one statement over one index, which the database sums up: few rows come back. */
export function createCourseReads(db: Kysely<Schema>): CourseReads {
  return {
    async busyKeys(minute, atLeast) {
      const rows = await db
        .selectFrom('usageMinute')
        .select(['environmentId', 'keyId', (row) => row.fn.sum('count').as('issued')])
        .where('minute', '=', minute)
        .where('outcome', '=', ISSUED)
        .groupBy(['environmentId', 'keyId'])
        .having((row) => row(row.fn.sum('count'), '>=', atLeast))
        .execute()
      return busyKeys.parse(rows)
    },

    async busyEnvironments(minute, atLeast) {
      const rows = await db
        .selectFrom('usageMinute')
        .select([
          'environmentId',
          (row) => row.fn.sum('count').as('issued'),
          (row) => row.fn.countAll().as('counts'),
        ])
        .where('minute', '=', minute)
        .where('outcome', '=', ISSUED)
        .groupBy('environmentId')
        .having((row) => row(row.fn.sum('count'), '>=', atLeast))
        .execute()
      return busyEnvironments.parse(rows)
    },

    async ofMinutes({ environmentId, keyId, minutes: asked }) {
      // By name and not as a range, so that the index leads to the key in each minute and past all others.
      const all = db
        .selectFrom('usageMinute')
        .select(['minute', (row) => row.fn.sum('count').as('issued')])
        .where('environmentId', '=', environmentId)
        .where('minute', 'in', asked)
        .where('outcome', '=', ISSUED)
      const some = keyId === undefined ? all : all.where('keyId', '=', keyId)
      return minutes.parse(await some.groupBy('minute').execute())
    },
  }
}
