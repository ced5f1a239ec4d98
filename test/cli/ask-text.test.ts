import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAsk } from '../../src/cli/ask-text.ts'

describe('an ask on the command line', () => {
  const good: [string, object][] = [
    ['send', { kind: 'channels', action: 'send', channel: undefined }],
    ['publish:a:b', { kind: 'channels', action: 'publish', channel: 'a:b' }],
    ['peer:g:p', { kind: 'peer', groupId: 'g', peerId: 'p' }],
    ['model:m:1', { kind: 'client', model: 'm:1' }],
    ['{"action":"send"}', { kind: 'channels', action: 'send', channel: undefined }],
  ]
  for (const [text, ask] of good) it(`may be ${text}`, () => assert.deepEqual(parseAsk(text), ask))

  const faulty: [string, RegExp][] = [
    ['publish', /channel is needed/],
    ['send:room', /channel must not be there/],
    ['peer:g', /peerId is needed/],
    ['peer', /is not valid/],
    ['model', /is not valid/],
    ['fly:room', /--ask takes publish/],
    ['', /--ask takes publish/],
    ['{', /no valid JSON/],
    ['{"action":"publish","channel":"a","model":"b"}', /no others beside them/],
  ]
  for (const [text, said] of faulty) {
    it(`may not be ${text || 'empty'}`, () => {
      assert.throws(() => parseAsk(text), { name: 'UsageError', message: said })
    })
  }
})
