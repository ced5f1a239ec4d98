import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { kindOfKey } from '../../src/domain/api-key.ts'
import { showEnvironment } from '../../src/http/admin.ts'
import { install } from '../helpers/installation.ts'
import { run, temporaryFolder } from '../helpers/process.ts'

async function setup(t: TestContext) {
  const { jeton, elsewhere, use, DATA_DIR, environment } = await install(t)
  const environments = (...args: string[]) => jeton(['environments', ...args])
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await environments(...args, '--json')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\{.*\}\n$/)
    return JSON.parse(stdout)
  }
  const write = async (name: string, content: string) => {
    await writeFile(join(elsewhere, name), content)
    return join(elsewhere, name)
  }
  return { environments, json, write, use, DATA_DIR, id: environment.id }
}

type Ending = ReturnType<typeof run>

/** Each is refused with exit code 1 and this on standard error alone. */
async function refuses(wrong: readonly [() => Ending, RegExp][]): Promise<void> {
  for (const [ask, message] of wrong) {
    const { code, stdout, stderr } = await ask()
    assert.deepEqual([code, stdout], [1, ''], stderr)
    assert.match(stderr, message)
  }
}

describe('jeton environments', () => {
  it('creates an environment in a new installation, and shows its secret key that once', async (t) => {
    const DATA_DIR = join(await temporaryFolder(t), 'new')
    const jeton = (...args: string[]) => run('cli/jeton.ts', ['environments', ...args], { DATA_DIR })
    const { code, stdout, stderr } = await jeton('create', 'My app', '--tag', 'stg', '--json')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\{.*\}\n$/)
    const made = JSON.parse(stdout)
    assert.deepEqual(Object.keys(made), ['environment', 'keyId', 'secretKey', 'publishableKey'])
    assert.deepEqual([made.environment.name, made.environment.tag], ['My app', 'stg'])
    assert.match(made.keyId, /^kid_/)
    assert.match(made.secretKey, /^sk_stg_/)
    assert.equal(kindOfKey(made.secretKey), 'secret')
    assert.equal(kindOfKey(made.publishableKey), 'publishable')
    const people = await jeton('create', 'Other')
    assert.match(
      people.stdout,
      /^environment {6}Other \(env_\w{16}\)\npublishable key {2}pk_live_\w{49}\nsecret key {7}sk_live_\w{49}\nits id {11}kid_\w{16}\nThe secret key is shown this once and kept nowhere\.\n$/,
    )
    assert.equal((await jeton('list')).stdout.includes('sk_'), false)
  })

  it('shows settings and state in the words of the admin API, and no TURN secret', async (t) => {
    const { environments, json, write, id, use, DATA_DIR } = await setup(t)
    const secret = 'a-turn-secret-canary'
    const path = await write('turn', `${secret}\n`)
    const urls = ['--url', 'turn:a:3478', '--url', 'turns:a:5349']
    const turned = await json('turn', id, ...urls, '--secret-file', path)
    assert.deepEqual(turned.environment.turn, { urls: ['turn:a:3478', 'turns:a:5349'] })
    assert.equal(readFileSync(join(DATA_DIR, 'jeton.db')).includes(secret), false)
    const settings = {
      subjectLimit: { count: 5, windowSeconds: 60 },
      lifetimes: { user: { longestSeconds: 60 } },
    }
    const set = ['--alg', 'EdDSA', '--settings', await write('settings.json', JSON.stringify(settings))]
    assert.deepEqual((await json('update', id, ...set)).environment.settings, settings)

    const [row] = await use(({ store }) => store.listEnvironments())
    assert.ok(row)
    const asOverHttp: Record<string, unknown> = showEnvironment(row)
    const { environment } = await json('show', id)
    for (const [name, value] of Object.entries(environment)) assert.deepEqual(value, asOverHttp[name], name)
    assert.deepEqual(await json('list'), { environments: [environment] })
    assert.deepEqual(environment.settings, settings)
    const people = (await environments('show', id)).stdout
    assert.match(people, /^id +env_\w{16}\nname +Test\ntag +live\nstate +active\nsigned with +EdDSA\n/)
    assert.deepEqual(JSON.parse(/^settings +(.+)$/m.exec(people)?.[1] ?? ''), settings)
    assert.ok(people.includes('turn:a:3478 turns:a:5349'))

    // What is not named stays; settings are replaced whole.
    assert.deepEqual((await json('update', id, '--alg', 'default')).environment.settings, settings)
    const browser = await write('settings.json', '{"allowBrowserSecrets":true}')
    const changed = (await json('update', id, '--settings', browser)).environment
    assert.deepEqual([changed.settings, changed.signingAlgorithm], [{ allowBrowserSecrets: true }, null])
    assert.equal((await json('turn', id, '--clear')).environment.turn, null)
  })

  it('renames, archives once that is confirmed, lists what is archived, and restores', async (t) => {
    const { environments, json, id, use } = await setup(t)
    assert.equal((await json('rename', id, 'Renamed')).environment.name, 'Renamed')
    await refuses([
      [
        () => environments('archive', id),
        /^"Renamed" \(env_\w{16}\) mints nothing [^\n]+ Say --yes, since there is no terminal to ask at\.\n$/,
      ],
    ])
    assert.equal((await use(({ store }) => store.findEnvironment(id)))?.archivedAt, undefined)
    const { environment } = await json('archive', id, '--yes')
    assert.equal(environment.state, 'archived')
    assert.ok(Math.abs(environment.archivedAt - Date.now() / 1000) < 60)
    const [heading, line] = (await environments('list')).stdout.split('\n')
    assert.match(heading ?? '', /^ID +NAME +TAG +STATE +CREATED$/)
    assert.match(line ?? '', /^env_\w{16} +Renamed +live +archived +\d{4}-/)
    const restored = (await json('restore', id)).environment
    assert.deepEqual([restored.state, restored.archivedAt], ['active', null])
  })

  it('says in one line what is wrong, and changes nothing', async (t) => {
    const { environments, json, write, id } = await setup(t)
    const before = await json('list')
    const unknown = /^There is no such environment\.\n$/
    const turn = await write('turn', 'secret')
    await refuses([
      [() => environments('create', 'Test'), /^An environment named "Test" is there already\.\n$/],
      [
        () => environments('create', 'T', '--tag', 'TOO_LONG'),
        /^A tag is 1 to 8 characters of a-z and 0-9\.\n$/,
      ],
      [() => environments('create', ''), /^A name has 1 to 80 characters\.\n$/],
      [() => environments('rename', id, 'x'.repeat(81)), /^A name has 1 to 80 characters\.\n$/],
      [() => environments('show', 'env_none'), unknown],
      [() => environments('update', 'env_none', '--alg', 'EdDSA'), unknown],
      [() => environments('archive', 'env_none'), unknown],
      [() => environments('update', id), /^Say --alg ALGORITHM or --settings FILE\.\n$/],
      [() => environments('update', id, '--settings', turn), /^\S+turn does not hold JSON\.\n$/],
      [() => environments('turn', id, '--url', 'http://a', '--secret-file', turn), /^[^\n]+turns: URL\.\n$/],
      [() => environments('turn', id), /^Say --url URL or --clear\.\n$/],
    ])
    assert.deepEqual(await json('list'), before)
  })
})
