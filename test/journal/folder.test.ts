import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
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

  it('are all found while they are packed one after another', async (t) => {
    const folder = await temporaryFolder(t)
    const places = Array.from({ length: 1_500 }, (_, index) => index + 1)
    const pathOf = (place: number) => join(folder, `${String(place).padStart(8, '0')}-2026-11-22.jsonl`)
    for (const place of places) if (place !== 7) writeFileSync(pathOf(place), '')
    const packing = (async () => {
      for (const place of places.filter((place) => place !== 7))
        await rename(pathOf(place), `${pathOf(place)}.gz`)
    })()
    for (let look = 0; look < 20; look += 1) {
      const seen = (await listFiles(folder)).map(({ seq }) => seq)
      assert.deepEqual(
        seen,
        places.filter((place) => place !== 7),
      )
    }
    await packing
  })
})
