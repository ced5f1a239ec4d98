import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createStdoutJournal } from '../../src/journal/stdout-journal.ts'
import { alert, issuance, tokenOf } from '../helpers/journal.ts'
import { drivenSeams } from '../helpers/seams.ts'

describe('a journal on standard output', () => {
  it('takes nothing behind its last record', async () => {
    const lines: string[] = []
    const stream = { write: (line: string) => lines.push(line), isStalled: () => false }
    const journal = createStdoutJournal(stream, drivenSeams())
    journal.append(tokenOf('before'))
    await journal.close()
    assert.equal(journal.isAvailable(), false)
    assert.throws(() => journal.append(tokenOf('late')), { error: 'journal_unavailable' })
    journal.alert(alert)
    journal.refuse({ ...issuance, code: 'rate_limited' })
    await journal.close()
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)).map(({ n, type }) => [n, type]),
      [
        [1, 'opened'],
        [2, 'issued'],
        [3, 'closed'],
      ],
    )
  })
})
