import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  chain,
  closed,
  type Draft,
  GENESIS,
  issued,
  opened,
  refusals,
  refused,
} from '../../src/journal/record.ts'
import { createRecordReader } from '../../src/usage/read-record.ts'
import { issuance } from '../helpers/journal.ts'
import { refusal } from './counted.ts'

const read = createRecordReader()
const { environmentId, keyId, format } = issuance
const who = { environmentId, keyId, format, count: 1 }
const AT = Date.UTC(2026, 11, 31, 23, 59, 59, 999)

/** What is counted of a record that a journal has written: the same as while it was in memory. */
function countsOf(draft: Draft) {
  const counts = countsOfLine(draft)
  assert.deepEqual(counts, draft.counts)
  return counts
}

function countsOfLine(draft: Parameters<typeof chain>[1]) {
  return read(chain(GENESIS, draft).text.trimEnd())?.counts
}

describe('what is counted of a record', () => {
  it('is when and in which place it stands', () => {
    const line = chain({ ...GENESIS, n: 41 }, issued(AT, issuance)).text.trimEnd()
    assert.equal(read(line)?.n, 42)
    assert.equal(read(line)?.minute, Date.UTC(2026, 11, 31, 23, 59) / 60_000)
    const next = chain(GENESIS, issued(AT + 1, issuance)).text.trimEnd()
    assert.equal(read(next)?.minute, Date.UTC(2027, 0, 1) / 60_000)
  })

  it('is who got a token, whatever the subject is called', () => {
    for (const subject of [
      'alice',
      'a"b',
      'back\\slash',
      '\\"',
      'gruppe:ünï-\u2028-😀',
      '","jti":"x',
      'x'.repeat(2_000),
    ]) {
      assert.deepEqual(countsOf(issued(AT, { ...issuance, subject })), [
        { ...who, outcome: 'issued', subject },
      ])
    }
    // A token for nobody has its key's id there.
    const nobody = countsOf(issued(AT, { ...issuance, subject: keyId }))
    assert.deepEqual(nobody, [{ ...who, outcome: 'issued', subject: undefined }])
  })

  it('is why somebody got none', () => {
    const outcome = { ...who, format: 'user', outcome: 'rate_limited', subject: undefined }
    assert.deepEqual(countsOf(refused(AT, refusal)), [outcome])
    assert.deepEqual(countsOf(refused(AT, { ...refusal, subject: undefined })), [outcome])
    const kind = { environmentId, keyId, format: 'user', code: 'beyond_grant', count: 7 }
    assert.deepEqual(countsOf(refusals(AT, 9, [kind])), [
      { ...who, format: 'user', count: 7, outcome: 'beyond_grant', subject: undefined },
    ])
  })

  it('is nothing of other records, and of what no journal writes', () => {
    assert.deepEqual(countsOf(closed(AT)), [])
    const first = { instance: 'ins_1', because: 'start', before: undefined, fault: undefined } as const
    assert.deepEqual(countsOf(opened(AT, first)), [])
    const line = chain(GENESIS, refused(AT, refusal)).text.trimEnd()
    // A caller's own words are no outcome.
    const members = `"type":"refused","environmentId":"e","keyId":"k","format":"f","subject":"issued"`
    assert.deepEqual(countsOfLine({ at: AT, members: `${members}}` }), [])
    assert.deepEqual(read(line.replace('rate_limited', 'rate limited'))?.counts, [])
    assert.deepEqual(countsOfLine({ at: AT, members: '"type":"refusals","counts":[{"count":-1}]}' }), [])
    assert.deepEqual(countsOfLine({ at: AT, members: '"type":"refusals","counts":[' }), [])
    for (const none of ['', '{}', '\0'.repeat(100), line.slice(1), 'x'.repeat(300_000)]) {
      assert.equal(read(none), undefined)
    }
  })
})
