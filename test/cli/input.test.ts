import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readJson, UsageError } from '../../src/cli/input.ts'
import { parseExpiry, parseGrace, parseName } from '../../src/cli/option-values.ts'
import { environmentSettings } from '../../src/formats/environment-settings.ts'
import { grantSchema } from '../../src/formats/grant.ts'
import { temporaryFolder } from '../helpers/process.ts'

const refusal = (message: RegExp) => (error: unknown) =>
  error instanceof UsageError && message.test(error.message)

describe('a grace', () => {
  const taken: [string, number][] = [
    ['0', 0],
    ['90', 90],
    ['90s', 90],
    ['90m', 5_400],
    ['12h', 43_200],
    ['7d', 604_800],
    ['604800', 604_800],
  ]
  for (const [text, seconds] of taken) {
    it(`takes ${text} for ${seconds} seconds`, () => assert.equal(parseGrace(text), seconds))
  }

  for (const text of ['', 'd', '-1', '1.5h', '7 d', '1w', '604801', '8d', '99999999', '1e3', '٣', '7D']) {
    it(`cannot be "${text}"`, () => {
      assert.throws(() => parseGrace(text), refusal(/^--grace takes 0 to 604800 seconds, [^\n]+$/))
    })
  }
})

describe('an expiry', () => {
  const taken: [string, number][] = [
    ['4102444800', 4_102_444_800_000],
    ['2100-01-01T00:00:00Z', 4_102_444_800_000],
    ['2100-01-01T02:00:00+02:00', 4_102_444_800_000],
    ['2100-01-01T00:00:00.999Z', 4_102_444_800_000],
  ]
  for (const [text, unixMs] of taken) {
    it(`takes ${text}`, () => assert.equal(parseExpiry(text), unixMs))
  }

  // A date alone, or a time without an offset, would be another moment on another machine.
  const faulty = [
    '',
    'tomorrow',
    '2100-01-01',
    '2100-01-01T00:00:00',
    '2100-02-30T00:00:00Z',
    '4102444800000',
    '-1',
  ]
  for (const text of faulty) {
    it(`cannot be "${text}"`, () => {
      assert.throws(
        () => parseExpiry(text),
        refusal(/^--expires-at takes unix seconds, or a moment like [^\n]+$/),
      )
    })
  }

  for (const text of ['0', '1700000000', '2020-01-01T00:00:00Z', '0000-01-01T00:00:00Z']) {
    it(`cannot be ${text}, which is over`, () => {
      assert.throws(() => parseExpiry(text), refusal(/ is not in the future\.$/))
    })
  }
})

describe('a name', () => {
  it('is 1 to 80 characters that can be seen', () => {
    const longest = '\u{1f511}'.repeat(80)
    assert.equal(parseName(longest), longest)
    for (const name of ['', `${longest}x`]) {
      assert.throws(() => parseName(name), refusal(/^The name must be 1 to 80 characters\.$/))
    }
    assert.throws(() => parseName('a\u001b[2J'), refusal(/^The name must not hold control characters\.$/))
  })
})

describe('a file of JSON', () => {
  it('is refused in one line that names each fault and moves no cursor', async (t) => {
    const file = join(await temporaryFolder(t), 'file.json')
    const wrong = [
      [
        grantSchema,
        'grant',
        '{"channel":["a"],"formats":["jwt"],"maxTtlSeconds":0}',
        ['"channel"', 'formats.0: ', 'maxTtlSeconds: '],
      ],
      [
        environmentSettings,
        'settings',
        '{"subjectLimit":{"count":0,"windowSeconds":60}}',
        ['subjectLimit.count: '],
      ],
      [
        environmentSettings,
        'settings',
        '{"lifetimes":{"user":{"longestSeconds":999999}}}',
        ['lifetimes.user.longestSeconds: '],
      ],
      [environmentSettings, 'settings', '{"a\\u001b[2Jb\\nc":1}', ['a\ufffd[2Jb\ufffdc']],
      [grantSchema, 'grant', `{"formats":[${Array(1_000).fill('1').join()}]}`, ['formats.9: ']],
    ] as const
    for (const [schema, what, content, named] of wrong) {
      await writeFile(file, content)
      const error: unknown = await readJson<unknown>(file, schema, what).catch((reason) => reason)
      assert.ok(error instanceof UsageError)
      assert.ok(error.message.startsWith(`${file} holds no valid ${what}: `), error.message)
      assert.doesNotMatch(error.message, /\p{Cc}|formats\.10/u)
      for (const name of named) assert.ok(error.message.includes(name), error.message)
    }
  })
})
