import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { kindOfKey } from '../../src/domain/api-key.ts'
import { showKey } from '../../src/http/admin.ts'
import { install } from '../helpers/installation.ts'
import { serveHere } from '../helpers/serve-here.ts'

async function setup(t: TestContext) {
  const { jeton, elsewhere, environment, ...installed } = await install(t)
  const keys = (...args: string[]) => jeton(['keys', ...args])
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await keys(...args, '--json')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\{.*\}\n$/)
    return JSON.parse(stdout)
  }
  const write = async (name: string, content: object) => {
    await writeFile(join(elsewhere, name), JSON.stringify(content))
    return join(elsewhere, name)
  }
  return { keys, json, write, of: ['--environment', environment.id], ...installed }
}

const ACCESS = { channels: ['lobby'], actions: ['subscribe'], allowedOrigins: ['https://*.example.com'] }

describe('jeton keys', () => {
  it('makes a limited key in one line of JSON, and limits it otherwise later', async (t) => {
    const { keys, write, of, DATA_DIR } = await setup(t)
    const grant = await write('grant.json', { channels: ['room-*'] })
    const { stdout } = await keys('create', ...of, '--grant', grant, '--json')
    assert.match(stdout, /^\{"keyId":"kid_\w{16}","secretKey":"sk_live_\w{49}"\}\n$/)
    const { keyId, secretKey } = JSON.parse(stdout)
    const server = await serveHere(t, { DATA_DIR })
    const mint = async () => {
      const headers = { 'x-api-key': secretKey, 'content-type': 'application/json' }
      const body = JSON.stringify({ peerId: 'a', channels: ['admin-1'] })
      return (await fetch(`${server.url}/v1/tokens`, { method: 'POST', headers, body })).status
    }
    assert.equal(await mint(), 403)
    assert.equal((await keys('update', keyId, '--no-grant')).code, 0)
    const changedAt = performance.now()
    let status = 403
    while (status !== 200 && performance.now() - changedAt < 1_000) status = await mint()
    assert.equal(status, 200)
  })

  it('makes keys that carry a name, an end, and what their kind carries', async (t) => {
    const { keys, json, write, of } = await setup(t)
    const access = await write('access.json', ACCESS)
    const end = ['--expires-at', '2100-01-01T00:00:00Z']
    const made = await json(
      'create',
      ...of,
      '--kind',
      'publishable',
      '--name',
      'Web',
      '--access',
      access,
      ...end,
    )
    assert.deepEqual(Object.keys(made), ['keyId', 'publishableKey'])
    assert.equal(kindOfKey(made.publishableKey), 'publishable')
    const { key } = await json('show', made.keyId)
    assert.deepEqual(
      [key.kind, key.name, key.access, key.expiresAt, key.state],
      ['publishable', 'Web', ACCESS, 4_102_444_800, 'active'],
    )
    const people = (await keys('create', ...of, '--name', 'Backend', '--expires-at', '4102444800')).stdout
    assert.match(
      people,
      /^secret key {2}sk_live_\w{49}\nits id {6}kid_\w{16}\nThe secret key is shown this once and kept nowhere\.\n$/,
    )
  })

  it('changes what is named, leaves the rest, and takes away what is said so', async (t) => {
    const { json, write, of } = await setup(t)
    const [access, grant] = [
      await write('access.json', ACCESS),
      await write('grant.json', { uses: ['mint'] }),
    ]
    const end = ['--expires-at', '4102444800']
    const web = await json('create', ...of, '--kind', 'publishable', '--name', 'Web')
    const whole = (await json('update', web.keyId, '--access', access, ...end)).key
    assert.deepEqual([whole.name, whole.access, whole.expiresAt], ['Web', ACCESS, 4_102_444_800])
    const bare = (await json('update', web.keyId, '--no-access', '--no-expires-at')).key
    assert.deepEqual([bare.name, bare.access, bare.expiresAt], ['Web', null, null])
    const backend = await json('create', ...of, '--grant', grant)
    const named = (await json('update', backend.keyId, '--name', 'Backend')).key
    assert.deepEqual([named.name, named.grant], ['Backend', { uses: ['mint'] }])
    const nameless = (await json('update', backend.keyId, '--no-name', '--no-grant')).key
    assert.deepEqual([nameless.name, nameless.grant], [null, null])
  })

  it('lists every key in the words of the admin API, ended ones included, and never a secret', async (t) => {
    const { keys, json, of, use, keyId, secretKey, publishableKey } = await setup(t)
    const usedAt = Date.UTC(2026, 10, 22, 12)
    const rows = await use(async ({ environments, keyLives, store }) => {
      await environments.create('Other')
      await keyLives.update(keyId, { name: 'Backend', expiresAt: Date.UTC(2100, 0) })
      await keyLives.reportLeak(keyId, { action: 'revoke', graceSeconds: 0 })
      await store.noteUses(new Map([[keyId, usedAt]]))
      return await store.listApiKeys(of[1])
    })
    const listed = (await json('list', ...of)).keys
    assert.equal(listed.length, rows.length)
    for (const [index, row] of rows.entries()) {
      const asOverHttp: Record<string, unknown> = showKey(row, Date.now())
      for (const [name, value] of Object.entries(listed[index])) {
        assert.deepEqual(value, asOverHttp[name], name)
      }
    }
    const [heading = '', ...lines] = (await keys('list')).stdout.trimEnd().split('\n')
    assert.match(heading, /^ID +ENVIRONMENT +KIND +NAME +KEY +STATE +EXPOSED +CREATED +LAST USED +ENDS$/)
    assert.equal(lines.length, 4)
    const line = lines.find((one) => one.startsWith(keyId)) ?? ''
    const end = new Date(rows.find(({ id }) => id === keyId)?.revokedAt ?? 0).toISOString().slice(0, 19)
    // What ended it, not the end that it was to have.
    assert.ok(line.endsWith(`  2026-11-22T12:00:00Z  ${end}Z`), line)
    assert.match(line, / secret +Backend +sk_live_\S+ +revoked +yes +\d{4}-/)
    const shown = (await keys('show', keyId)).stdout
    assert.match(
      shown,
      /^id +kid_\w{16}\nenvironment +env_\w{16}\nkind +secret\nname +Backend\nkey +sk_live_/,
    )
    for (const text of [lines.join(), JSON.stringify(listed), shown])
      assert.equal(text.includes(secretKey), false)
    assert.ok(lines.join().includes(publishableKey))
  })

  it('says which keys end within a day or a week', async (t) => {
    const { keys, json, of } = await setup(t)
    const inHours = (hours: number) => String(Math.floor(Date.now() / 1000) + hours * 3_600)
    for (const [name, hours] of [
      ['Soon', 23],
      ['Later', 167],
      ['Much later', 169],
    ] as const) {
      await json('create', ...of, '--name', name, '--expires-at', inHours(hours))
    }
    const { stdout } = await keys('list', ...of)
    const endOf = (name: string) => new RegExp(`${name} .*Z(.*)$`, 'm').exec(stdout)?.[1]
    assert.deepEqual(['Soon', 'Later', 'Much later'].map(endOf), [', within a day', ', within a week', ''])
    const listed: { name: string | null; endsWithin: string | null }[] = (await json('list', ...of)).keys
    const ends = Object.fromEntries(listed.map(({ name, endsWithin }) => [name, endsWithin]))
    assert.deepEqual([ends.Soon, ends.Later, ends['Much later'], ends.null], ['day', 'week', null, null])
  })

  it('says in one line what is wrong, and changes nothing', async (t) => {
    const { keys, json, write, of, keyId } = await setup(t)
    const before = await json('list')
    const grant = await write('grant.json', { uses: ['mint'] })
    const open = await write('access.json', { channels: ['lobby'], allowedOrigins: ['*'] })
    const wrong: [string[], RegExp][] = [
      [['create', '--environment', 'env_none'], /^There is no such environment\.\n$/],
      [['list', '--environment', 'env_none'], /^There is no such environment\.\n$/],
      [['show', 'kid_none'], /^There is no such key\.\n$/],
      [['update', 'kid_none', '--no-grant'], /^There is no such key\.\n$/],
      [
        ['update', keyId],
        /^Say what to change: --name, --grant, --access or --expires-at, or --no-… of one\.\n$/,
      ],
      [
        ['create', ...of, '--kind', 'publishable', '--grant', grant],
        /^grant: only a secret key is limited by it\.\n$/,
      ],
      [
        ['create', ...of, '--access', open],
        /^\S+access\.json holds no valid access: allowAnyOrigin: [^\n]+\n$/,
      ],
      [['create', ...of, '--grant', '/nowhere'], /^\/nowhere cannot be read: ENOENT\.\n$/],
      [['update', keyId, '--expires-at', '1700000000'], /^--expires-at 1700000000 is not in the future\.\n$/],
    ]
    for (const [args, message] of wrong) {
      const { code, stdout, stderr } = await keys(...args)
      assert.deepEqual([code, stdout], [1, ''], stderr)
      assert.match(stderr, message)
    }
    assert.deepEqual(await json('list'), before)
  })
})
