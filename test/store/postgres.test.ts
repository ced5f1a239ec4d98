import { openPostgres } from '../../src/store/open-postgres.ts'
import type { Store } from '../../src/store/store.ts'
import { usePostgres, withoutPostgres } from '../helpers/postgres.ts'
import { storeContract } from './contract.ts'

const postgres = usePostgres()

storeContract(
  'PostgreSQL',
  async (t) => {
    const url = await postgres.schema()
    const opened: Store[] = []
    t.after(() => Promise.all(opened.map((store) => store.close())))
    const handle = async () => {
      const store = await openPostgres(url)
      opened.push(store)
      return store
    }
    return { handle, run: (statement) => postgres.query(statement, url) }
  },
  { skip: withoutPostgres },
)
