import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import type { Journal } from '../../src/journal/journal.ts'
import { filesIn, issuance, journalFolderOf } from '../helpers/journal.ts'
import { run, temporaryFolder } from '../helpers/process.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/jeton.ts')

/** A journal with tokens for these subjects, and the command line on it. */
async function journalOf(t: TestContext, subjects: readonly string[]) {
  const { open, folder } = await journalFolderOf(t)
  const DATA_DIR = join(folder, '..')
  const journal = await open()
  for (const subject of subjects) await issue(journal, subject)
  const jeton = (...args: string[]) => run('cli/jeton.ts', ['journal', ...args], { DATA_DIR })
  return { journal, folder, DATA_DIR, jeton }
}

async function issue(journal: Journal, subject: string): Promise<void> {
  await journal.append({ ...issuance, subject })
}

describe('jeton journal verify', () => {
  it('says that every chain is whole, or names the first line that does not fit and exits with 1', async (t) => {
    const { jeton, folder, journal } = await journalOf(t, ['alice', 'bob', 'carol'])
    const { instance = '', head } = journal.standing() ?? {}
    const whole = await jeton('verify', '--anchor', head?.sha256 ?? '')
    assert.equal(whole.code, 0)
    assert.match(whole.stdout, new RegExp(`^${instance}  whole   4 records in 1 files, .+Z to .+Z\n`))
    assert.ok(whole.stdout.includes(`ends with record 4, ${head?.sha256}`))
    const missing = await jeton('verify', '--anchor', 'a'.repeat(64), head?.sha256 ?? '')
    assert.deepEqual([missing.code, /a{64} is in none/.test(missing.stdout)], [1, true])
    const [path = ''] = filesIn(folder)
    writeFileSync(path, readFileSync(path, 'utf8').replace('"bob"', '"eve"'))
    const broken = await jeton('verify')
    assert.equal(broken.code, 1)
    assert.match(broken.stdout, /BROKEN {2}3 records[\s\S]+00000001-[\d-]+\.jsonl, line 3: edited\. Its hash/)
    const json = await jeton('verify', '--json')
    const { chains } = JSON.parse(json.stdout)
    assert.deepEqual([json.code, chains[0].broken.line, chains[0].broken.reason], [1, 3, 'edited'])
  })

  it('refuses what is no hash, and a folder without a journal', async (t) => {
    const { jeton } = await journalOf(t, [])
    const wrong = await jeton('verify', '--anchor', 'x')
    assert.deepEqual([wrong.code, wrong.stderr], [1, '--anchor takes a SHA-256 in hex, 64 digits.\n'])
    const DATA_DIR = await temporaryFolder(t)
    mkdirSync(join(DATA_DIR, 'journal'))
    for (const command of ['verify', 'query', 'tail']) {
      const { code, stderr } = await run('cli/jeton.ts', ['journal', command], { DATA_DIR })
      assert.deepEqual([code, /^There is no journal in /.test(stderr)], [1, true])
    }
  })
})

describe('jeton journal query', () => {
  it('prints what fits, for people or as it stands', async (t) => {
    const { jeton, folder } = await journalOf(t, ['alice', 'bob', 'carol \u001b[2J'])
    const [, alice, bob] = readFileSync(filesIn(folder)[0] ?? '', 'utf8').split('\n')
    assert.equal((await jeton('query', '--subject', 'bob', '--json')).stdout, `${bob}\n`)
    const both = ['--key', issuance.keyId, '--environment', issuance.environmentId, '--json']
    assert.match((await jeton('query', ...both, '--jti', issuance.jti)).stdout, /alice[\s\S]+bob[\s\S]+carol/)
    const { stdout } = await jeton('query', '--subject', 'alice')
    const { at } = JSON.parse(alice ?? '')
    assert.equal(
      stdout,
      `${at}  issued    environmentId=env_0123456789abcdef  keyId=kid_0123456789abcdef  format=channels  subject=alice  jti=AAAAAAAAAAAAAAAAAAAAAA  expiresAt=1795351463  ttlSeconds=60  address=127.0.0.1  userAgent=backend/1.0  requestId=r-1  granted={"channels":["room-1"]}\n`,
    )
    const hostile = (await jeton('query')).stdout
    assert.deepEqual(
      [hostile.includes('\u001b'), hostile.includes('subject="carol \\u001b[2J"')],
      [false, true],
    )
  })

  it('takes moments as dates, as seconds and as how long ago', async (t) => {
    const { jeton } = await journalOf(t, ['alice'])
    const soon = new Date(Date.now() + 3_600_000).toISOString()
    const cases: [string, string, number][] = [
      ['--since', '2h', 2],
      ['--since', soon, 0],
      ['--until', soon, 2],
      ['--until', '7d', 0],
      ['--since', '1000000000', 2],
    ]
    for (const [option, moment, count] of cases) {
      const { stdout } = await jeton('query', option, moment)
      assert.equal(stdout.split('\n').length - 1, count, `${option} ${moment}`)
    }
    for (const moment of ['yesterday', '2026-11-22', '-1', '5y']) {
      const { code, stderr } = await jeton('query', `--since=${moment}`)
      assert.deepEqual([code, /^--since takes unix seconds/.test(stderr)], [1, true], moment)
    }
  })
})

describe('jeton journal tail', () => {
  it('prints the last records and every new one, until it is told to end', async (t) => {
    const { DATA_DIR, journal } = await journalOf(t, ['alice', 'bob'])
    const child = spawn(process.execPath, [MAIN, 'journal', 'tail', '--lines', '1', '--json'], {
      env: { PATH: process.env.PATH, DATA_DIR },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.after(() => child.kill('SIGKILL'))
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    const next = async () => JSON.parse(String((await lines.next()).value)).subject
    assert.equal(await next(), 'bob')
    await issue(journal, 'carol')
    assert.equal(await next(), 'carol')
    child.kill('SIGINT')
    assert.deepEqual(await once(child, 'close'), [0, null])
  })
})
