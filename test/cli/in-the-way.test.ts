import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { install } from '../helpers/installation.ts'

describe('a command', () => {
  it('says in one line that another program is writing for too long, and still reads', async (t) => {
    const { DATA_DIR, jeton, environment } = await install(t)
    const other = new DatabaseSync(join(DATA_DIR, 'jeton.db'))
    t.after(() => other.close())
    other.exec('begin immediate')
    assert.equal((await jeton(['keys', 'list'])).code, 0)
    const { code, stdout, stderr } = await jeton(['keys', 'create', '--environment', environment.id])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^The database is being written to [^\n]+\n$/)
  })

  it('ends quietly when nobody reads what it prints', async (t) => {
    const { DATA_DIR } = await install(t)
    const program = join(import.meta.dirname, '../../src/cli/jeton.ts')
    const child = spawn(process.execPath, [program, 'keys', 'list'], {
      env: { PATH: process.env.PATH, DATA_DIR },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [code] = await once(child, 'close')
    assert.deepEqual([code, stderr], [0, ''])
  })
})
