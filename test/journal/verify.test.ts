import assert from 'node:assert/strict'
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'
import { verifyChain } from '../../src/journal/verify.ts'
import { filesIn, journalFolderOf, readerOf, tokenOf, verifyAll } from '../helpers/journal.ts'
import { drivenSeams, START_MS } from '../helpers/seams.ts'

/** A chain of three files of four lines: what opens the file, and three tokens. */
async function chainOfThree(t: TestContext) {
  const { open, folder } = await journalFolderOf(t)
  const seams = drivenSeams()
  const journal = await open({ seams })
  const heads: string[] = []
  for (const day of ['a', 'b', 'c']) {
    for (const token of ['1', '2', '3']) {
      await journal.append(tokenOf(day + token))
      heads.push(journal.standing()?.head.sha256 ?? '')
    }
    seams.advance(86_400_000)
  }
  return { folder, heads, files: filesIn(folder), verify: async () => (await verifyAll(folder))[0] }
}

/** Changes the lines of a file. */
function edit(path: string | undefined, change: (lines: string[]) => string[]): void {
  const lines = readFileSync(path ?? '', 'utf8')
    .split('\n')
    .slice(0, -1)
  writeFileSync(
    path ?? '',
    change(lines)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

const tampering: [
  string,
  (files: string[]) => void,
  [file: number, line: number | undefined, reason: string],
][] = [
  ['an edited line', ([, b]) => edit(b, replacing(1, 'alice', 'mallo')), [1, 2, 'edited']],
  ['an edited hash', ([, b]) => edit(b, replacing(2, /"prev":"./, '"prev":"x')), [1, 3, 'edited']],
  [
    'another hash',
    ([, b]) => edit(b, replacing(2, /"prev":"[^"]+/, `"prev":"${'0'.repeat(64)}`)),
    [1, 3, 'edited'],
  ],
  ['an edited number', ([, b]) => edit(b, replacing(2, /"n":\d+/, '"n":99')), [1, 3, 'edited']],
  ['an edited last line of a file', ([a]) => edit(a, replacing(3, 'alice', 'mallo')), [0, 4, 'edited']],
  ['a line that is no record', ([, b]) => edit(b, (lines) => lines.toSpliced(2, 0, '{}')), [1, 3, 'edited']],
  ['a removed line', ([, b]) => edit(b, (lines) => lines.toSpliced(2, 1)), [1, 3, 'missing']],
  ['two removed lines', ([, b]) => edit(b, (lines) => lines.toSpliced(1, 2)), [1, 2, 'missing']],
  [
    'a repeated line',
    ([, b]) => edit(b, (lines) => lines.toSpliced(2, 0, lines[1] ?? '')),
    [1, 3, 'swapped'],
  ],
  [
    'two swapped lines',
    ([, b]) => edit(b, ([x = '', y = '', z = '', w = '']) => [x, z, y, w]),
    [1, 2, 'swapped'],
  ],
  ['a file cut at its end', ([, b]) => edit(b, (lines) => lines.slice(0, -1)), [1, 4, 'missing']],
  ['a file that lost its first line', ([, b]) => edit(b, (lines) => lines.slice(1)), [1, 1, 'missing']],
  ['a removed file', ([, b]) => rmSync(b ?? ''), [2, 1, 'missing']],
  ['a torn line within', ([, b = '']) => truncateSync(b, statSync(b).size - 2), [1, 4, 'torn']],
  ['a shorter last line of a file', ([, b]) => edit(b, replacing(3, 'alice', 'al')), [1, 4, 'edited']],
  ['a longer last line of a file', ([, b]) => edit(b, replacing(3, 'alice', 'alice2')), [1, 4, 'edited']],
]

function replacing(index: number, what: string | RegExp, by: string) {
  return (lines: string[]) => lines.with(index, lines[index]?.replace(what, by) ?? '')
}

describe('a chain of records', () => {
  it('is whole when nothing was touched, packed or not', async (t) => {
    const { files, heads, verify } = await chainOfThree(t)
    for (const path of ['', files[0] ?? '']) {
      if (path !== '') {
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path)))
        rmSync(path)
      }
      const chain = await verify()
      assert.deepEqual(
        [chain?.broken, chain?.files, chain?.records, chain?.head?.sha256, chain?.notes],
        [undefined, 3, 12, heads.at(-1), []],
      )
      assert.equal(chain?.from, new Date(START_MS).toISOString())
    }
  })

  for (const [name, tamper, [file, line, reason]] of tampering) {
    it(`shows ${name}, and where`, async (t) => {
      const { files, verify } = await chainOfThree(t)
      tamper(files)
      const broken = (await verify())?.broken
      assert.deepEqual(
        [broken?.file, broken?.line, broken?.reason],
        [basename(files[file] ?? ''), line, reason],
        broken?.detail ?? '',
      )
      assert.match(broken?.detail ?? '', /^[A-Z].+\.$/)
    })
  }

  it('shows a packed file that is damaged', async (t) => {
    const { files, verify } = await chainOfThree(t)
    const [path = ''] = files
    const packed = gzipSync(readFileSync(path))
    writeFileSync(`${path}.gz`, packed.subarray(0, packed.length / 2))
    rmSync(path)
    const broken = (await verify())?.broken
    assert.deepEqual([broken?.file, broken?.reason], [basename(path), 'unreadable'])
  })

  it('may begin with a later file only once the files before were kept long enough', async (t) => {
    const { files, folder, verify } = await chainOfThree(t)
    rmSync(files[0] ?? '')
    const instance = (await verify())?.instance ?? ''
    const ofTheDay = await verifyChain(folder, instance, { keptSince: '2026-11-22', anchors: [] })
    assert.deepEqual([ofTheDay.broken?.file, ofTheDay.broken?.reason], [basename(files[1] ?? ''), 'missing'])
    const later = await verifyChain(folder, instance, { keptSince: '2026-11-23', anchors: [] })
    assert.equal(later.broken, undefined)
  })

  it('is judged by what is left when files are removed while it is read', async (t) => {
    for (const [keptSince, reason] of [
      ['2026-11-24', undefined],
      ['2026-11-22', 'missing'],
    ] as const) {
      const { files, folder, verify } = await chainOfThree(t)
      const instance = (await verify())?.instance ?? ''
      const [first = '', second = ''] = files
      const reader = readerOf(first)
      const verified = verifyChain(folder, instance, { keptSince, anchors: [] })
      const letGo = await reader
      for (const path of [first, second]) rmSync(path)
      await letGo()
      const { broken, files: left } = await verified
      assert.deepEqual([left, broken?.reason], [1, reason])
    }
  })

  it('that was cut at its very end is found out by an anchor alone', async (t) => {
    const { files, folder, heads, verify } = await chainOfThree(t)
    const anchors = [heads.at(-2) ?? '', heads.at(-1) ?? '']
    assert.deepEqual((await verifyAll(folder, anchors))[0]?.anchors, anchors)
    edit(files[2], (lines) => lines.slice(0, -1))
    assert.equal((await verify())?.broken, undefined)
    assert.deepEqual((await verifyAll(folder, anchors))[0]?.anchors, [heads.at(-2)])
  })
})
