import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { refuseUnknown } from './migrate.ts'
import {
  asDatabase,
  hasTable,
  migrationsOf,
  openForReading,
  refuseBroken,
  sealedDataKeyOf,
} from './sqlite-file.ts'

/** What a look at a database finds. */
export interface Inspection {
  readonly sealedDataKey: Uint8Array | undefined
  /** When the newest row was made, unix milliseconds. */
  readonly newestAt: number | undefined
  readonly hasAdminKey: boolean
}

/**
 * Looks at a database without changing anything, a running server's included.
 *
 * @throws StoreError when there is none, when it is damaged, or when a newer program wrote it
 */
export function inspect(path: string): Inspection {
  const database = openForReading(path)
  try {
    return asDatabase(path, () => {
      refuseBroken(database, 'quick_check', path)
      refuseUnknown(migrationsOf(database))
      return {
        sealedDataKey: sealedDataKeyOf(database),
        newestAt: newestOf(database),
        hasAdminKey: newestIn(database, 'admin_key') !== undefined,
      }
    })
  } finally {
    database.close()
  }
}

function newestOf(database: DatabaseSync): number | undefined {
  const times = ['environment', 'api_key', 'signing_key', 'admin_key'].map((table) =>
    newestIn(database, table),
  )
  const newest = Math.max(...times.map((time) => time ?? Number.NEGATIVE_INFINITY))
  return Number.isFinite(newest) ? newest : undefined
}

function newestIn(database: DatabaseSync, table: string): number | undefined {
  if (!hasTable(database, table)) return undefined
  const row = database.prepare(`select max(created_at) as newest from ${table}`).get()
  return z.object({ newest: z.number().nullable() }).parse(row).newest ?? undefined
}
