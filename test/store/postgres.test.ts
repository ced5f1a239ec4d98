import type { TestContext } from 'node:test'
import type { Witness } from '../../src/store/change-records.ts'
import { openPostgres } from '../../src/store/open-postgres.ts'
import { readPostgresRecords } from '../../src/store/read-postgres-records.ts'
import { usePostgres, withoutPostgres } from '../helpers/postgres.ts'
import { alertContract } from './alert-contract.ts'
import { storeContract } from './contract.ts'
import { recordContract } from './record-contract.ts'
import { usageContract } from './usage-contract.ts'

const postgres = usePostgres()

storeContract('PostgreSQL', open, { skip: withoutPostgres })
recordContract('PostgreSQL', open, { skip: withoutPostgres })
usageContract('PostgreSQL', open, { skip: withoutPostgres })
alertContract('PostgreSQL', open, { skip: withoutPostgres })

async function open(t: TestContext) {
  const url = await postgres.schema()
  const opened: { close(): Promise<void> }[] = []
  t.after(() => Promise.all(opened.map((one) => one.close())))
  const handle = async (witness?: Witness) => {
    const store = await openPostgres(url, witness && { witness })
    opened.push(store)
    return store
  }
  const records = async () => {
    const found = await readPostgresRecords(url, (error) => error)
    opened.push(found)
    return found
  }
  return { handle, records, run: (statement: string) => postgres.query(statement, url) }
}
