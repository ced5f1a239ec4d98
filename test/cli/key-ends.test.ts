import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { changesSince } from '../helpers/changes.ts'
import { install } from '../helpers/installation.ts'

async function setup(t: TestContext) {
  const { jeton, use, environment, ...pair } = await install(t)
  const keys = (...args: string[]) => jeton(['keys', ...args])
  const json = async (...args: string[]) => {
    const { code, stdout, stderr } = await keys(...args, '--yes', '--json')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^\{.*\}\n$/)
    return JSON.parse(stdout)
  }
  const find = (id: string) =>
    use(async ({ store }) => (await store.listApiKeys(undefined)).find((key) => key.id === id))
  return { keys, json, find, use, environment, ...pair }
}

const near = (actual: number | undefined, expectedMs: number) =>
  assert.ok(Math.abs((actual ?? 0) - expectedMs) < 60_000, `${actual}`)

describe('jeton keys revoke', () => {
  it('ends a key, and ending it again is no error', async (t) => {
    const { keys, json, find, keyId } = await setup(t)
    const { key } = await json('revoke', keyId)
    assert.deepEqual([key.id, key.state, key.exposed], [keyId, 'revoked', false])
    const revokedAt = (await find(keyId))?.revokedAt
    near(revokedAt, Date.now())
    const again = await keys('revoke', keyId, '--yes')
    assert.equal(again.code, 0)
    assert.match(again.stdout, /^state +revoked$/m)
    assert.equal((await find(keyId))?.revokedAt, revokedAt)
    assert.match(
      (await keys('rotate', keyId, '--yes')).stderr,
      /^The key has ended or was rotated already\.\n$/,
    )
    assert.match(
      (await keys('update', keyId, '--no-grant')).stderr,
      /^The key has ended and stays as it is\.\n$/,
    )
  })
})

describe('jeton keys rotate', () => {
  it('prints the new pair of an environment, and nothing else, in one line of JSON', async (t) => {
    const { keys, find, environment, keyId, secretKey, publishableKey } = await setup(t)
    const rotated = await keys('rotate', '--environment', environment.id, '--yes', '--json')
    assert.deepEqual([rotated.code, rotated.stderr], [0, ''])
    assert.match(
      rotated.stdout,
      /^\{"keyId":"kid_\w{16}","secretKey":"sk_live_\w{49}","publishableKey":"pk_live_\w{49}"\}\n$/,
    )
    const made = JSON.parse(rotated.stdout)
    assert.notEqual(made.secretKey, secretKey)
    assert.notEqual(made.publishableKey, publishableKey)
    const old = await find(keyId)
    assert.equal(old?.successorId, made.keyId)
    near(old?.revokedAt, Date.now())
    const people = await keys('rotate', '--environment', environment.id, '--grace', '12h', '--yes')
    assert.match(
      people.stdout,
      /^publishable key {2}pk_live_\w{49}\nsecret key {7}sk_live_\w{49}\nits id {11}kid_\w{16}\nThe secret key is shown this once and kept nowhere\.\n$/,
    )
    near((await find(made.keyId))?.expiresAt, Date.now() + 43_200_000)
  })

  it('puts a key in the place of one, which lives on for its grace', async (t) => {
    const { json, find, use, environment, keyId } = await setup(t)
    const made = await json('rotate', keyId, '--grace', '7d')
    assert.deepEqual(Object.keys(made), ['keyId', 'secretKey'])
    const old = await find(keyId)
    assert.deepEqual([old?.successorId, old?.revokedAt], [made.keyId, undefined])
    near(old?.expiresAt, Date.now() + 604_800_000)
    const access = { channels: [], actions: [], allowedOrigins: ['https://example.com'] }
    const { row } = await use(({ keyLives }) =>
      keyLives.create(environment.id, { kind: 'publishable', access }),
    )
    const publishable = await json('rotate', row.id)
    assert.deepEqual(Object.keys(publishable), ['keyId', 'publishableKey'])
    assert.deepEqual((await find(publishable.keyId))?.access, access)
  })
})

describe('jeton keys report-leak', () => {
  it('revokes and flags a key, or rotates and flags it', async (t) => {
    const { keys, json, find, use, environment, keyId } = await setup(t)
    const { key, successor } = await json('report-leak', keyId)
    assert.deepEqual([key.id, key.state, key.exposed, successor], [keyId, 'revoked', true, null])
    const other = await use(({ keyLives }) => keyLives.create(environment.id, { kind: 'secret' }))
    const rotated = await json('report-leak', other.row.id, '--rotate', '--grace', '90m')
    assert.deepEqual([rotated.key.state, rotated.key.exposed], ['active', true])
    assert.deepEqual(Object.keys(rotated.successor), ['keyId', 'secretKey'])
    assert.equal(rotated.key.successorId, rotated.successor.keyId)
    near((await find(other.row.id))?.expiresAt, Date.now() + 5_400_000)
    const people = await keys('report-leak', rotated.successor.keyId, '--rotate', '--yes')
    assert.match(people.stdout, /^state +revoked\nexposed +\d{4}-\S+$/m)
    assert.match(people.stdout, /\nsecret key +sk_live_\w{49}\nits id +kid_\w{16}\nThe secret key is shown /)
  })
})

describe('what ends a key', () => {
  it('asks first, changes nothing where nobody can answer, and refuses what makes no sense', async (t) => {
    const { keys, use, environment, keyId } = await setup(t)
    await use(({ keyLives }) => keyLives.update(keyId, { name: 'Backend' }))
    const before = await use(({ store }) => changesSince(store, 0))
    const wrong: [string[], RegExp][] = [
      [
        ['revoke', keyId],
        /^The secret key "Backend" \(kid_\w{16}\) ends at once, for good\. [^\n]* Say --yes, [^\n]*\n$/,
      ],
      [
        ['rotate', keyId, '--grace', '1m'],
        /^The secret key [^\n]* ends in 60 seconds, [^\n]* Say --yes, [^\n]*\n$/,
      ],
      [
        ['rotate', '--environment', environment.id],
        /^The secret and the publishable key that "Test" [^\n]* Say --yes, [^\n]*\n$/,
      ],
      [
        ['report-leak', keyId],
        /^The secret key [^\n]* is flagged as exposed and ends at once\. [^\n]* Say --yes, [^\n]*\n$/,
      ],
      [['report-leak', keyId, '--grace', '1m', '--yes'], /^--grace needs --rotate: [^\n]+\n$/],
      [['rotate', '--yes'], /^Say either the id of a key or --environment ID\.\n$/],
      [
        ['rotate', keyId, '--environment', environment.id, '--yes'],
        /^Say either the id of a key or --environment ID\.\n$/,
      ],
      [['revoke', 'kid_none'], /^There is no such key\.\n$/],
      [['report-leak', 'kid_none', '--yes'], /^There is no such key\.\n$/],
      [['rotate', '--environment', 'env_none', '--yes'], /^There is no such environment\.\n$/],
    ]
    for (const [args, message] of wrong) {
      const { code, stdout, stderr } = await keys(...args)
      assert.deepEqual([code, stdout], [1, ''], stderr)
      assert.match(stderr, message)
    }
    assert.deepEqual(await use(({ store }) => changesSince(store, 0)), before)
  })
})
