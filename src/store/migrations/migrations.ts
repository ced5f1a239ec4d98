import type { Migration } from 'kysely/migration'
import { foundation } from './0001-foundation.ts'
import { lifecycle } from './0002-lifecycle.ts'
import { changesInOrder } from './0003-changes-in-order.ts'
import { adminLists } from './0004-admin-lists.ts'
import { revocations } from './0005-revocations.ts'
import { changeRecords } from './0006-change-records.ts'
import { usage } from './0007-usage.ts'
import { alerts } from './0008-alerts.ts'

/** Every migration by name, in order. One that has been released is never edited; a later one mends it. */
export const migrations: Record<string, Migration> = {
  '0001-foundation': foundation,
  '0002-lifecycle': lifecycle,
  '0003-changes-in-order': changesInOrder,
  '0004-admin-lists': adminLists,
  '0005-revocations': revocations,
  '0006-change-records': changeRecords,
  '0007-usage': usage,
  '0008-alerts': alerts,
}
