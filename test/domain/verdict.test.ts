import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { gateCodes } from '../../src/domain/verdict.ts'

describe('the codes of the gate', () => {
  it('are explained one by one, in their order and with their close codes', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/verify.md'), 'utf8')
    const rows = [...page.matchAll(/^\| `(\w+)` +\| (\d+) +\| \S/gm)]
    assert.deepEqual(
      rows.map(([, code, closeCode]) => [code, Number(closeCode)]),
      Object.entries(gateCodes),
    )
  })
})
