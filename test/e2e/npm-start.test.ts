import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { it } from 'node:test'
import { z } from 'zod'
import { temporaryFolder } from '../helpers/process.ts'

const ROOT = join(import.meta.dirname, '../..')
const { scripts } = z
  .object({ scripts: z.object({ start: z.string() }) })
  .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')))

it('npm start: the shell that npm sends its signals to becomes Jeton, and nothing is left behind', async (t) => {
  const child = spawn('sh', ['-c', scripts.start], {
    cwd: ROOT,
    env: {
      // As npm does, so that the right Node comes first.
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      DATA_DIR: await temporaryFolder(t),
      PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'ignore'],
    // With a group of its own, so that a Jeton that is left behind ends with the test.
    detached: true,
  })
  const ended = once(child, 'exit')
  t.after(() => spawnSync('kill', ['-KILL', '--', `-${child.pid}`]))
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
    if (output.includes('Server listening')) resolve()
  })
  await Promise.race([listening, ended])
  child.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})
