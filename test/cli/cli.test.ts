import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { kindOfKey } from '../../src/domain/api-key.ts'
import { run, temporaryFolder } from '../helpers/process.ts'

const jeton = (args: readonly string[], env: Record<string, string>) => run('cli/jeton.ts', args, env)

describe('a mistyped DATA_DIR', () => {
  const commands = [
    ['keys', 'list'],
    ['keys', 'create', '--environment', 'env_none'],
    // It asks first, and even the question needs a look.
    ['environments', 'archive', 'env_none'],
    ['master-key', 'rotate', '--yes'],
    ['backup', '/nowhere/backup.db'],
  ]

  it('is told in one line, and nothing is made there', async (t) => {
    const parent = await temporaryFolder(t)
    const empty = await temporaryFolder(t)
    const folders = [join(parent, 'absent'), empty]
    for (const [index, args] of commands.entries()) {
      const DATA_DIR = folders[index % 2] ?? ''
      const { code, stdout, stderr } = await jeton(args, { DATA_DIR })
      const told = `There is no database in ${DATA_DIR}: set DATA_DIR to where yours is, or begin one with \`jeton environments create\`. Nothing was changed.\n`
      assert.deepEqual([code, stdout, stderr], [1, '', told], args.join(' '))
    }
    assert.deepEqual([readdirSync(parent), readdirSync(empty)], [[], []])
    const file = join(parent, 'file')
    writeFileSync(file, '')
    const within = await jeton(['keys', 'list'], { DATA_DIR: file })
    assert.deepEqual([within.code, within.stderr.startsWith(`There is no database in ${file}: `)], [1, true])
  })
})

describe('jeton secrets create', () => {
  it('prints what a start in production needs, anew each time, and needs no configuration', async (t) => {
    const { stdout } = await jeton(['secrets', 'create'], { NODE_ENV: 'production' })
    const secrets = Object.fromEntries(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s)),
    )
    assert.equal(Buffer.from(secrets.MASTER_KEY, 'base64').length, 32)
    assert.equal(kindOfKey(secrets.ADMIN_KEY), 'admin')
    assert.notEqual((await jeton(['secrets', 'create'], {})).stdout, stdout)
    const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://tokens.example.com' }
    const made = await jeton(['environments', 'create', 'One', '--json'], {
      ...production,
      ...secrets,
      DATA_DIR: await temporaryFolder(t),
    })
    assert.deepEqual([made.code, made.stderr], [0, ''])
    assert.equal((await jeton(['nonsense'], {})).code, 1)
  })
})
