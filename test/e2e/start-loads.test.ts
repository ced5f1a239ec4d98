import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { it } from 'node:test'
import { promisify } from 'node:util'

const SERVE = new URL('../../src/serve.ts', import.meta.url).href

/** Loads what a start loads, and prints the packages that this came from. */
const SCRIPT = `
  import { registerHooks } from 'node:module'
  const packages = new Set()
  registerHooks({
    load(url, context, next) {
      packages.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1])
      return next(url, context)
    },
  })
  await import(${JSON.stringify(SERVE)})
  console.log([...packages].join(' '))
`

// Each file that is loaded takes half a millisecond of a start, and memory for as long as the process lives.
it('a start loads no package that only some installations need', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT])
  const packages = stdout.split(/\s/)
  assert.ok(packages.includes('fastify') && packages.includes('kysely'), stdout)
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
