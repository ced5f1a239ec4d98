import type { Journal } from './journal.ts'

interface HeadLog {
  info(fields: object, message: string): void
}

/**
 * Makes what tells the log where the chain ends, if that has changed since it told last. The log is kept elsewhere: a
 * journal that was cut, or written anew, does not hold that hash.
 */
export function tellHeads(journal: Pick<Journal, 'standing'>, log: HeadLog): () => void {
  let told = ''
  return () => {
    const standing = journal.standing()
    if (standing === undefined || standing.head.sha256 === told) return
    const { instance, head } = standing
    told = head.sha256
    log.info({ instance, n: head.n, sha256: told }, 'journal head')
  }
}
