import type { TestContext } from 'node:test'
import { openPostgres } from '../../src/store/open-postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { usePostgres, withoutPostgres } from '../helpers/postgres.ts'
import { alertContract } from './alert-contract.ts'
import { storeContract } from './contract.ts'
import { usageContract } from './usage-contract.ts'

const postgres = usePostgres()

async function open(t: TestContext) {
  const url = await postgres.schema()
  const opened: Store[] = []
  t.after(() => Promise.all(opened.map((store) => store.close())))
  const handle = async () => {
    const store = await openPostgres(url)
    opened.push(store)
    return store
  }
  return { handle, run: (statement: string) => postgres.query(statement, url) }
}

storeContract('PostgreSQL', open, { skip: withoutPostgres })
usageContract('PostgreSQL', open, { skip: withoutPostgres })
alertContract('PostgreSQL', open, { skip: withoutPostgres })
