import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { kindOfKey } from '../../src/domain/api-key.ts'
import { run, temporaryFolder } from '../helpers/process.ts'

const jeton = (args: readonly string[], env: Record<string, string>) => run('cli/jeton.ts', args, env)

describe('jeton environments', () => {
  it('creates an environment and prints one line of JSON', async (t) => {
    const DATA_DIR = await temporaryFolder(t)
    const { code, stdout, stderr } = await jeton(
      ['environments', 'create', 'My app', '--tag', 'stg', '--json'],
      {
        DATA_DIR,
      },
    )
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\{.*\}\n$/)
    const made = JSON.parse(stdout)
    assert.deepEqual(Object.keys(made), ['environment', 'keyId', 'secretKey', 'publishableKey'])
    assert.deepEqual(Object.keys(made.environment), ['id', 'name', 'tag'])
    assert.equal(made.environment.name, 'My app')
    assert.match(made.keyId, /^kid_/)
    assert.match(made.secretKey, /^sk_stg_/)
    assert.equal(kindOfKey(made.secretKey), 'secret')
    assert.equal(kindOfKey(made.publishableKey), 'publishable')
  })

  it('lists environments, and keys without their secrets', async (t) => {
    const env = { DATA_DIR: await temporaryFolder(t) }
    const made = JSON.parse((await jeton(['environments', 'create', 'One', '--json'], env)).stdout)
    await jeton(['environments', 'create', 'Two'], env)
    const table = (await jeton(['environments', 'list'], env)).stdout.split('\n')
    assert.match(table[0] ?? '', /^ID +NAME +TAG +CREATED$/)
    assert.match(table[1] ?? '', /^env_\w{16} +One +live +\d{4}-/)
    const keys = await jeton(['keys', 'list', '--environment', made.environment.id, '--json'], env)
    const listed = JSON.parse(keys.stdout).keys
    assert.deepEqual(
      listed.map(({ kind, state, exposed }: Record<string, unknown>) => [kind, state, exposed]),
      [
        ['secret', 'active', false],
        ['publishable', 'active', false],
      ],
    )
    assert.equal(keys.stdout.includes(made.secretKey), false)
    assert.ok(keys.stdout.includes(made.publishableKey))
    const all = (await jeton(['keys', 'list'], env)).stdout
    assert.equal(all.trim().split('\n').length, 5)
    assert.equal(all.includes(made.secretKey), false)
  })

  it('says in one line what is wrong', async (t) => {
    const env = { DATA_DIR: await temporaryFolder(t) }
    await jeton(['environments', 'create', 'One'], env)
    const wrong: [string[], RegExp][] = [
      [['environments', 'create', 'One'], /^An environment named "One" is there already\.\n$/],
      [
        ['environments', 'create', 'Two', '--tag', 'TOO_LONG_TAG'],
        /^A tag is 1 to 8 characters of a-z and 0-9\.\n$/,
      ],
      [['environments', 'create', ''], /^A name has 1 to 80 characters\.\n$/],
    ]
    for (const [args, message] of wrong) {
      const { code, stdout, stderr } = await jeton(args, env)
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, message)
    }
    assert.equal((await jeton(['nonsense'], env)).code, 1)
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
    const listed = await jeton(['environments', 'list', '--json'], {
      ...production,
      ...secrets,
      DATA_DIR: await temporaryFolder(t),
    })
    assert.deepEqual([listed.code, listed.stdout], [0, '{"environments":[]}\n'])
  })
})
