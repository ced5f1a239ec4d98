import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { install } from '../helpers/installation.ts'
import { usePostgres, withoutPostgres, withPassword } from '../helpers/postgres.ts'

const SECRET = 'canary-of-a-secret-that-is-long-enough'
const postgres = usePostgres()

const environmentKeys = [
  'environment created',
  'secret key created',
  'publishable key created',
  'signing key created',
  'signing key created',
]

describe('a change with a command', () => {
  it('has one record, whichever command made it, and every journal command reads it', async (t) => {
    const { jeton, use, environment, keyId, elsewhere, file } = await install(t)
    const { id } = environment
    const secretFile = join(elsewhere, 'secret')
    writeFileSync(secretFile, SECRET)
    const makeKey = () => use(async ({ keyLives }) => (await keyLives.create(id, { kind: 'secret' })).row.id)
    const of = ['--environment', id]
    const commands: [args: string[], whats: string[]][] = [
      [['environments', 'create', 'Other'], environmentKeys],
      [['environments', 'rename', id, 'Renamed'], ['environment changed']],
      [['environments', 'archive', id, '--yes'], ['environment archived']],
      [['environments', 'restore', id], ['environment restored']],
      [['environments', 'turn', id, '--url', 'turn:a', '--secret-file', secretFile], ['environment changed']],
      [['keys', 'create', ...of], ['secret key created']],
      [['keys', 'update', keyId, '--name', 'CI'], ['secret key changed']],
      [
        ['keys', 'rotate', keyId, '--yes'],
        ['secret key created', 'secret key rotated, revoked'],
      ],
      [['keys', 'revoke', await makeKey(), '--yes'], ['secret key revoked']],
      [['keys', 'report-leak', await makeKey(), '--yes'], ['secret key revoked, exposed']],
      [
        ['signing-keys', 'import', ...of, '--format', 'user', '--kid', 'sig', '--secret-file', secretFile],
        ['signing key imported'],
      ],
      [['signing-keys', 'export', ...of, '--kid', 'sig', '--yes'], ['signing key exported']],
      [
        ['signing-keys', 'rotate', ...of, '--alg', 'EdDSA'],
        ['signing key created', 'signing key changed'],
      ],
      [
        ['signing-keys', 'roll-back', ...of, '--alg', 'EdDSA', '--yes'],
        ['signing key changed', 'signing key changed'],
      ],
      [['master-key', 'rotate', '--yes'], ['data key sealed anew']],
      [['backup', file], []],
      [['restore', file, '--yes'], ['database restored']],
    ]
    const told = async () => {
      const { stdout, code, stderr } = await jeton(['journal', 'query', '--json'])
      assert.deepEqual([code, stderr], [0, ''])
      return stdout.split('\n').slice(0, -1)
    }
    let seen = (await told()).length
    for (const [args, whats] of commands) {
      const { code, stderr } = await jeton(args)
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
      const lines = await told()
      const records = lines.slice(seen).map((line) => JSON.parse(line))
      const found = records.flatMap(({ changes }) => changes.map(({ what }: { what: string }) => what))
      assert.deepEqual([records.length, found], [whats.length === 0 ? 0 : 1, whats], args.join(' '))
      for (const { by, user } of records) {
        assert.deepEqual([by, user], ['command line', userInfo().username])
      }
      seen = lines.length
    }
    assert.ok(!(await told()).join('\n').includes(SECRET))
    const ofKey = await jeton(['journal', 'query', '--key', keyId])
    assert.match(ofKey.stdout, /^\S+Z {2}changed {3}revision=\d+ {2}by="command line" {2}user=/m)
    assert.equal(ofKey.stdout.split('\n').length - 1, 3)
    const whole = await jeton(['journal', 'verify'])
    assert.equal(whole.code, 0)
    assert.match(whole.stdout, new RegExp(`^database {2}whole {3}${seen} records of changes, `))
    const [, sha256 = ''] = /, ([0-9a-f]{64})$/m.exec(whole.stdout) ?? []
    assert.equal((await jeton(['journal', 'verify', '--anchor', sha256])).code, 0)
    await use(({ store }) => store.change((changes) => changes.updateEnvironment(id, { name: 'X' })))
    const json = JSON.parse((await jeton(['journal', 'verify', '--json'])).stdout)
    assert.deepEqual([json.chains, json.changes.records, json.changes.broken], [[], seen + 1, undefined])
  })

  it('is read from a PostgreSQL, without the master key; while that is away, the files are', {
    skip: withoutPostgres,
  }, async (t) => {
    const { jeton, DATA_DIR, environment } = await install(t)
    const DATABASE_URL = await postgres.schema()
    assert.equal((await jeton(['migrate-store', DATA_DIR, DATABASE_URL])).code, 0)
    const there = { DATABASE_URL, DATA_DIR: join(DATA_DIR, 'nothing') }
    const query = ['journal', 'query', '--environment', environment.id, '--json']
    const { stdout } = await jeton(query)
    assert.match(stdout, /environment created/)
    assert.equal((await jeton(query, there)).stdout, stdout)
    const moves = await jeton(['journal', 'query', '--since', '1h', '--json'], there)
    const { by, user, changes } = JSON.parse(moves.stdout.trimEnd().split('\n').at(-1) ?? '')
    const [move] = changes
    assert.deepEqual([by, user, move.what], ['command line', userInfo().username, 'database moved'])
    const whole = await jeton(['journal', 'verify'], there)
    assert.deepEqual([whole.code, /^database {2}whole/.test(whole.stdout)], [0, true])
    const away = { ...there, DATABASE_URL: withPassword(DATABASE_URL, 'wrong') }
    const refused = await jeton(query, away)
    assert.equal(refused.code, 1)
    assert.match(
      refused.stderr,
      /authentication failed[\s\S]+Records of changes are left out\.\nThere is no journal/,
    )
  })
})
