import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { follow } from '../../src/journal/follow.ts'
import { mergeByTime, type Question, query, type RecordSource } from '../../src/journal/query.ts'
import { filesIn, issuance, journalFolderOf, tokenOf } from '../helpers/journal.ts'
import { drivenSeams, START_MS } from '../helpers/seams.ts'

const HOUR_MS = 3_600_000

async function jtisOf(found: RecordSource): Promise<unknown[]> {
  const jtis: unknown[] = []
  for await (const { line } of found) jtis.push(JSON.parse(line).jti)
  return jtis.filter((jti) => jti !== undefined)
}

describe('a question to the journals', () => {
  it('finds what fits in every member, over all chains and packed files, the oldest first', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const some = await open({ seams })
    const other = await open({ seams })
    const nasty = 'a"},{"subject":"bob","granted":{"x'
    await some.append({ ...issuance, jti: '1', subject: 'bob' })
    seams.advance(HOUR_MS)
    await other.append({ ...issuance, jti: '2', subject: 'bob', keyId: 'kid_other' })
    seams.advance(HOUR_MS)
    await some.append({ ...issuance, jti: '3', subject: nasty })
    await other.append({ ...issuance, jti: '4', subject: 'eve', policy: { subject: 'bob', jti: '1' } })
    seams.advance(24 * HOUR_MS)
    await some.append({ ...issuance, jti: '5', subject: 'bob', environmentId: 'env_other' })
    const [path = ''] = filesIn(folder)
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)))
    rmSync(path)
    const at = (hours: number) => START_MS + hours * HOUR_MS
    const cases: [Question, string[]][] = [
      [{}, ['1', '2', '3', '4', '5']],
      [{ subject: 'bob' }, ['1', '2', '5']],
      [{ subject: 'bo' }, []],
      [{ subject: nasty }, ['3']],
      [{ jti: '1' }, ['1']],
      [{ keyId: 'kid_other' }, ['2']],
      [{ subject: 'bob', keyId: issuance.keyId }, ['1', '5']],
      [{ environmentId: 'env_other' }, ['5']],
      [{ subject: 'bob', environmentId: issuance.environmentId }, ['1', '2']],
      [{ since: at(1) }, ['2', '3', '4', '5']],
      [{ since: at(1) + 1, until: at(26) }, ['3', '4']],
      [{ until: at(1) }, ['1']],
      [{ since: at(26), subject: 'bob' }, ['5']],
      [{ since: at(300) }, []],
    ]
    for (const [question, expected] of cases) {
      const found = await jtisOf(query(folder, question))
      assert.deepEqual(found.sort(), expected, JSON.stringify(question))
    }
    assert.deepEqual(await jtisOf(query(folder, { subject: 'bob' })), ['1', '2', '5'])
  })

  it('lets another source have its records among those of the chains', async () => {
    const source = async function* (moments: readonly string[]) {
      for (const at of moments) yield { instance: 'x', at, line: JSON.stringify({ jti: at }) }
    }
    const merged = mergeByTime([source(['1', '4', '5']), source([]), source(['2', '3', '6'])])
    assert.deepEqual(await jtisOf(merged), ['1', '2', '3', '4', '5', '6'])
  })

  it('finds what is left when a file is removed meanwhile', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const journal = await open({ seams })
    for (const jti of ['a', 'b', 'c', 'd']) {
      await journal.append(tokenOf(jti))
      seams.advance(24 * HOUR_MS)
    }
    const found = query(folder, { subject: 'alice' })
    const { value } = await found.next()
    rmSync(filesIn(folder)[2] ?? '')
    assert.deepEqual([JSON.parse(value?.line ?? '').jti, ...(await jtisOf(found))], ['a', 'b', 'd'])
  })

  it('ends when a file cannot be read, rather than leave records out', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const journal = await open({ seams })
    for (const jti of ['a', 'b', 'c']) {
      await journal.append(tokenOf(jti))
      seams.advance(24 * HOUR_MS)
    }
    const [, second = ''] = filesIn(folder)
    writeFileSync(`${second}.gz`, 'not packed')
    rmSync(second)
    const found = query(folder, { subject: 'alice' })
    assert.equal((await found.next()).done, false)
    // It is read ahead, and nobody asks for it yet.
    await new Promise((resolve) => setTimeout(resolve, 50))
    await assert.rejects(found.next(), { code: 'Z_DATA_ERROR' })
  })

  it('finds lines that lie across what is read at once', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const journal = await open()
    const policy = { channels: ['x'.repeat(99_991)] }
    for (let token = 0; token < 40; token += 1) await journal.append({ ...issuance, jti: `${token}`, policy })
    const expected = Array.from({ length: 40 }, (_, token) => `${token}`)
    assert.deepEqual(await jtisOf(query(folder, { subject: 'alice' })), expected)
  })
})

describe('following the journals', () => {
  it('gives the last records, and then every new one, over new files and new chains', {
    timeout: 20_000,
  }, async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const seams = drivenSeams()
    const journal = await open({ seams })
    for (const jti of ['a', 'b', 'c']) await journal.append(tokenOf(jti))
    const ending = new AbortController()
    const found = follow(folder, 2, ending.signal)
    const next = async () => {
      for (;;) {
        const { value } = await found.next()
        const { type, jti } = JSON.parse(value?.line ?? '{}')
        if (type !== 'opened') return jti
      }
    }
    assert.deepEqual([await next(), await next()], ['b', 'c'])
    await journal.append(tokenOf('d'))
    assert.equal(await next(), 'd')
    seams.advance(24 * HOUR_MS)
    await journal.append(tokenOf('e'))
    assert.equal(await next(), 'e')
    const another = await open({ seams })
    await another.append(tokenOf('f'))
    assert.equal(await next(), 'f')
    ending.abort()
    assert.equal((await found.next()).done, true)
  })
})
