import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { promisify } from 'node:util'

const SERVE = new URL('../../src/serve.ts', import.meta.url).href

/** Starts a server, and prints the packages that it loaded until then. */
const SCRIPT = `
  import { registerHooks } from 'node:module'
  const packages = new Set()
  registerHooks({
    load(url, context, next) {
      packages.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1])
      return next(url, context)
    },
  })
  const { serve } = await import(${JSON.stringify(SERVE)})
  await serve()
  console.error([...packages].join(' '))
  process.exit()
`

// Each file that is loaded takes half a millisecond of a start, and memory for as long as the process lives.
it('a start loads no package that only some installations need', async (t) => {
  const DATA_DIR = mkdtempSync(join(tmpdir(), 'jeton-'))
  t.after(() => rmSync(DATA_DIR, { recursive: true }))
  const start = () =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], {
      env: { PATH: process.env.PATH, PORT: '0', DATA_DIR },
    })
  // The first one makes keys besides.
  await start()
  const { stderr } = await start()
  const packages = stderr.split(/\s/)
  assert.ok(packages.includes('fastify') && packages.includes('kysely'), stderr)
  const unwanted = [
    'pg',
    'ioredis',
    'jose',
    'commander',
    '@fastify/swagger',
    '@fastify/swagger-ui',
    '@opentelemetry/api',
  ]
  assert.deepEqual(
    unwanted.filter((name) => packages.includes(name)),
    [],
  )
})
