import assert from 'node:assert/strict'
import { renameSync, utimesSync, writeFileSync } from 'node:fs'
import fsPromises, { rename } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { listFiles } from '../../src/journal/folder.ts'
import { temporaryFolder } from '../helpers/process.ts'

describe('the files of a chain', () => {
  it('are listed in their order, each once, however many there are', async (t) => {
    const folder = await temporaryFolder(t)
    const places = Array.from({ length: 2_500 }, (_, index) => index + 1)
    for (const place of places) {
      const path = join(folder, `${String(place).padStart(8, '0')}-2026-11-22.jsonl`)
      // Every third is not packed yet, and every sixth is there both ways.
      if (place % 3 === 0) writeFileSync(path, '')
      if (place % 3 !== 0 || place % 6 === 0) writeFileSync(`${path}.gz`, '')
    }
    assert.deepEqual(
      (await listFiles(folder)).map(({ seq, packed }) => [seq, packed]),
      places.map((place) => [place, place % 3 !== 0]),
    )
  })

  for (const [which, place] of [
    ['first', 1],
    ['last', 3],
  ] as const) {
    it(`are all found when the ${which} one is packed while they are listed`, async (t) => {
      const folder = await temporaryFolder(t)
      const pathOf = (place: number) => join(folder, `0000000${place}-2026-11-22.jsonl`)
      for (const place of [1, 2, 3]) writeFileSync(pathOf(place), '')
      // Not in the very moment of the look.
      utimesSync(folder, 1, 1)
      const { readdir } = fsPromises
      let looks = 0
      t.mock.method(fsPromises, 'readdir', async (path: string) => {
        const names = await readdir(path)
        looks += 1
        if (looks > 1) return names
        renameSync(pathOf(place), `${pathOf(place)}.gz`)
        return names.filter((name) => !pathOf(place).endsWith(name))
      })
      syncBuiltinESMExports()
      t.after(() => {
        t.mock.restoreAll()
        syncBuiltinESMExports()
      })
      const found = (await listFiles(folder)).map(({ seq, packed }) => [seq, packed])
      assert.deepEqual(
        found,
        [1, 2, 3].map((seq) => [seq, seq === place]),
      )
      // Where nothing happens, one look is enough.
      looks = 1
      await listFiles(folder)
      assert.equal(looks, 2)
    })
  }

  it('are all found while they are packed one after another', async (t) => {
    const folder = await temporaryFolder(t)
    const places = Array.from({ length: 1_500 }, (_, index) => index + 1)
    const pathOf = (place: number) => join(folder, `${String(place).padStart(8, '0')}-2026-11-22.jsonl`)
    for (const place of places) writeFileSync(pathOf(place), '')
    const packing = (async () => {
      for (const place of places) await rename(pathOf(place), `${pathOf(place)}.gz`)
    })()
    for (let look = 0; look < 20; look += 1) {
      assert.deepEqual(
        (await listFiles(folder)).map(({ seq }) => seq),
        places,
      )
    }
    await packing
  })
})
