import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { run, temporaryFolder } from '../helpers/process.ts'
import { serveHere } from '../helpers/serve-here.ts'

const SCRIPT = join(import.meta.dirname, '../../load/curl.sh')
const skip = spawnSync('curl', ['--version']).error !== undefined && 'curl is not installed'

it('load/curl.sh mints what it is asked for, tells what came instead, and leaves nothing', {
  skip,
}, async (t) => {
  const DATA_DIR = await temporaryFolder(t)
  const TMPDIR = await temporaryFolder(t)
  const made = await run('cli/jeton.ts', ['environments', 'create', 'Test', '--json'], { DATA_DIR })
  const JETON_SECRET_KEY: string = JSON.parse(made.stdout).secretKey
  const { url: JETON_URL } = await serveHere(t, { DATA_DIR, RATE_LIMIT_KEY: '100/1h' })
  const right = { JETON_URL, JETON_SECRET_KEY }
  const wrongKey = `${JETON_SECRET_KEY.slice(0, -1)}~`
  const tokens =
    /^40 tokens over 4 connections in \d+\.\d s: \d+ a second\np50 [\d.]+ ms, p99 [\d.]+ ms, slowest [\d.]+ ms\n200: 40\n$/
  const cases: [string, Record<string, string>, string[], number, RegExp][] = [
    ['tokens', right, ['40', '4'], 0, tokens],
    ['more connections than tokens', right, ['2', '8'], 0, /^2 tokens over 2 /],
    ['a key that is none', { ...right, JETON_SECRET_KEY: wrongKey }, ['4', '2'], 1, /\n401: 4\n$/],
    ['nobody there', { ...right, JETON_URL: 'http://127.0.0.1:1' }, ['4', '2'], 1, /\n000: 4\n$/],
    ['a limit', right, ['70', '2'], 1, /\n200: 58\n429: 12\n$|\n429: 12\n200: 58\n$/],
    ['too many', right, ['100001'], 2, /TOKENS must be/],
    ['what is no number', right, ['1e3'], 2, /TOKENS must be/],
    ['too many connections', right, ['100', '65'], 2, /CONNECTIONS must be/],
    ['no key', { JETON_URL }, [], 2, /JETON_SECRET_KEY must be/],
    [
      'a key that ends its line',
      { ...right, JETON_SECRET_KEY: 'sk_a"\noutput = "/tmp/a' },
      [],
      2,
      /plain text/,
    ],
  ]
  for (const [what, env, args, code, output] of cases) {
    await t.test(what, async () => {
      const child = spawn(SCRIPT, args, { env: { PATH: process.env.PATH, TMPDIR, ...env } })
      const ended = once(child, 'close')
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
      assert.match(stdout + stderr, output)
      assert.deepEqual(await ended, [code, null])
      assert.deepEqual(readdirSync(TMPDIR), [])
    })
  }
})
