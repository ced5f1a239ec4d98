import type { ChangeHead } from '../domain/change-record.ts'
import type { ChangedRows } from '../store/store.ts'
import { DATABASE } from './changes.ts'

/** Where the records of changes end, as far as this process has read. */
export interface ChangeHeads {
  /** `undefined` as long as there is no record. */
  current(): ChangeHead | undefined
}

/** Keeps the newest head that the follower of the store hands on. */
export function createChangeHeads(follower: {
  tell(take: (rows: Pick<ChangedRows, 'recordHead'>) => void): void
}): ChangeHeads {
  let head: ChangeHead | undefined
  follower.tell((rows) => {
    if ('recordHead' in rows) head = rows.recordHead
  })
  return { current: () => head }
}

interface HeadLog {
  info(fields: object, message: string): void
}

/** Makes what tells the log of the head if it has changed since: as `tellHeads` does, for the chain in the database. */
export function tellChangeHeads(heads: ChangeHeads, log: HeadLog): () => void {
  let told = ''
  return () => {
    const head = heads.current()
    if (head === undefined || head.sha256 === told) return
    told = head.sha256
    log.info({ instance: DATABASE, revision: head.revision, n: head.n, sha256: told }, 'journal head')
  }
}
