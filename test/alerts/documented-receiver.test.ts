import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { sign } from '../../src/alerts/webhook.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/alerts.md'), 'utf8')

describe('the receiver in docs/alerts.md', () => {
  it('takes what Jeton signs, in time, and nothing else', async () => {
    const [, code = ''] = /```js\n(\/\/ receiver\.mjs.+?)```/s.exec(page) ?? []
    const { isGenuine } = await import(`data:text/javascript,${encodeURIComponent(code)}`)
    const [secret, other] = [Buffer.alloc(32, 1), Buffer.alloc(24, 2)]
    const text = `whsec_${secret.toString('base64')}`
    const body = '{"type":"spike.raised"}'
    const at = 1_795_351_463
    const headers = {
      'webhook-id': 'alr_1_raised',
      'webhook-timestamp': String(at),
      'webhook-signature': [other, secret].map((key) => sign(key, 'alr_1_raised', at, body)).join(' '),
    }
    assert.equal(isGenuine(headers, body, text, at + 10), true)
    for (const [what, ...given] of [
      ['another body', headers, `${body} `, text, at],
      ['another id', { ...headers, 'webhook-id': 'alr_2_raised' }, body, text, at],
      ['an old one', headers, body, text, at + 300],
      ['one without a time', { ...headers, 'webhook-timestamp': undefined }, body, text, at],
      ['another secret', headers, body, Buffer.alloc(32, 3).toString('base64'), at],
      ['no signature', { ...headers, 'webhook-signature': undefined }, body, text, at],
    ] as const) {
      assert.equal(isGenuine(...given), false, what)
    }
  })
})
