import { IDENTIFIER_RANDOM_BYTES, writeIdentifier } from '../domain/identifier.ts'
import type { Seams } from '../seams.ts'
import { type Journal, journalUnavailable } from './journal.ts'
import { alerted, chain, closed, type Draft, GENESIS, issued, opened } from './record.ts'
import { createRefusals } from './refusals.ts'

/** Where lines go that a collector reads. */
export interface RecordStream {
  write(line: string): unknown
  /** Whether lines are being dropped because nobody reads them. */
  isStalled(): boolean
}

/**
 * Records to a stream that something else keeps. A token whose line was dropped does not leave; one whose line was taken
 * does, though nobody knows whether that line is safe anywhere.
 */
export function createStdoutJournal(stream: RecordStream, { now, monotonic, random }: Seams): Journal {
  const instance = writeIdentifier('ins', random(IDENTIFIER_RANDOM_BYTES))
  const refusals = createRefusals({ now, monotonic, post })
  let head = GENESIS
  let hasEnded = false
  post(opened(now(), { instance, because: 'start', before: undefined, fault: undefined }))
  return {
    isAvailable: () => !hasEnded && !stream.isStalled(),
    append(issuance) {
      if (!post(issued(now(), issuance))) throw journalUnavailable()
    },
    refuse: refusals.note,
    alert: (alert) => void post(alerted(now(), alert)),
    standing: () => ({ instance, isHeld: true, head, backlogBytes: 0 }),
    async close() {
      refusals.flush()
      post(closed(now()))
      hasEnded = true
    },
  }

  function post(draft: Draft): boolean {
    if (hasEnded || stream.isStalled()) return false
    const line = chain(head, draft)
    stream.write(line.text)
    // Asked again behind the line: what it says now is whether that line was taken. One that was dropped has no place in
    // the chain.
    if (stream.isStalled()) return false
    head = line.head
    return true
  }
}
