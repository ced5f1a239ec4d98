import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createRecentIssuances, type RecentIssuances } from '../../src/journal/recent.ts'
import { filesIn, issuance, journalFolderOf, tokenOf } from '../helpers/journal.ts'
import { drivenSeams } from '../helpers/seams.ts'

const { environmentId } = issuance

/** Two chains of three days, 60 tokens each, in turns; the first file of each is packed. */
async function twoChains(t: TestContext) {
  const { open, folder } = await journalFolderOf(t)
  const seams = drivenSeams()
  const journals = [await open({ seams }), await open({ seams })]
  const jtis: string[] = []
  for (let token = 0; token < 120; token += 1) {
    jtis.unshift(`${token}`)
    await journals[token % 2]?.append(tokenOf(`${token}`))
    await journals[token % 2]?.append({ ...tokenOf(`other ${token}`), environmentId: 'env_other' })
    seams.advance(token % 40 === 39 ? 86_400_000 : 1)
  }
  for (const path of filesIn(folder).filter((name) => name.includes('00000001'))) {
    writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)))
    rmSync(path)
  }
  return { folder, jtis, journals, instances: journals.map((journal) => journal.standing()?.instance ?? '') }
}

async function pagesOf(recent: RecentIssuances, limit: number, between = async () => {}) {
  const jtis: string[] = []
  let pages = 0
  for (let cursor: string | undefined; pages === 0 || cursor !== undefined; pages += 1) {
    assert.ok(pages < 300)
    const page = await recent.page(environmentId, limit, cursor)
    jtis.push(...page.issuances.map(({ jti }) => jti))
    cursor = page.nextCursor
    await between()
  }
  return jtis
}

describe('what was issued lately', () => {
  for (const limit of [1, 7, 100]) {
    it(`is given once each, the newest first, in pages of ${limit}, over chains, days and packed files`, async (t) => {
      const { folder, jtis, instances } = await twoChains(t)
      const recent = createRecentIssuances({ folder })
      const first = await recent.page(environmentId, limit, undefined)
      assert.deepEqual([...first.instances].sort(), instances.sort())
      assert.deepEqual(await pagesOf(recent, limit), jtis)
    })
  }

  it('stays in its place while more is issued and files are packed', async (t) => {
    const { folder, jtis, journals } = await twoChains(t)
    const recent = createRecentIssuances({ folder })
    let issued = 0
    const between = async () => {
      await journals[issued % 2]?.append(tokenOf(`new ${issued}`))
      issued += 1
      const path = filesIn(folder).find((name) => name.includes('00000002') && !name.endsWith('.gz'))
      if (path === undefined) return
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)))
      rmSync(path)
    }
    assert.deepEqual(await pagesOf(recent, 10, between), jtis)
  })

  it('is read over lines that lie across what is read at once, in bounded parts', async (t) => {
    const { open, folder } = await journalFolderOf(t)
    const journal = await open()
    const policy = { channels: ['ü'.repeat(50_000)] }
    const expected: string[] = []
    for (let token = 0; token < 30; token += 1) {
      await journal.append({ ...tokenOf(`${token}`), policy })
      expected.unshift(`${token}`)
    }
    assert.deepEqual(await pagesOf(createRecentIssuances({ folder }), 4), expected)
  })

  it('is nothing where there is no journal, and an end is not gone beyond', async (t) => {
    const { folder } = await journalFolderOf(t)
    const nothing = { issuances: [], instances: [], nextCursor: undefined }
    assert.deepEqual(await createRecentIssuances({ folder }).page(environmentId, 10, undefined), nothing)
  })

  it('refuses a cursor that is none', async (t) => {
    const { folder } = await twoChains(t)
    const recent = createRecentIssuances({ folder })
    const cursors = [
      'x',
      '',
      'bnVsbA',
      '{}',
      ...[[], { '../..': [1, 1] }, { ins_0123456789abcdef: [-1, 1] }, { ins_0123456789abcdef: 'x' }].map(
        (value) => Buffer.from(JSON.stringify(value)).toString('base64url'),
      ),
    ]
    for (const cursor of cursors) {
      await assert.rejects(
        async () => await recent.page(environmentId, 1, cursor),
        { error: 'body_invalid' },
        cursor,
      )
    }
  })
})
