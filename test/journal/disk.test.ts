import assert from 'node:assert/strict'
import { constants, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createSynced, type Disk, systemDisk } from '../../src/journal/disk.ts'

function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'jeton-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** How this process has opened a file: proc_pid_fdinfo(5). */
function flagsOf(path: string): number {
  const found = readdirSync('/proc/self/fd').find((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === path
    } catch {
      return false
    }
  })
  return Number.parseInt(
    /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${found}`, 'utf8'))?.[1] ?? '',
    8,
  )
}

const ways: [string, Disk['create']][] = [
  ['of this system', systemDisk.create],
  ['of one whose writes do not wait for the disk', createSynced],
]

describe('a file that grows', () => {
  // Nothing but a loss of power would show that this is missing.
  it('is written through to the disk', { skip: process.platform !== 'linux' }, async (t) => {
    const path = join(emptyFolder(t), 'a')
    const file = await systemDisk.create(path)
    t.after(() => file.close())
    assert.equal(flagsOf(path) & constants.O_DSYNC, constants.O_DSYNC)
  })

  for (const [name, create] of ways) {
    it(`grows at its end, on a disk ${name}, and is never one that is there`, async (t) => {
      const path = join(emptyFolder(t), 'a')
      const file = await create(path)
      t.after(() => file.close())
      for (const text of ['one', 'two']) assert.equal(await file.write(Buffer.from(text)), 3)
      assert.equal(readFileSync(path, 'utf8'), 'onetwo')
      const { size, ino } = await file.identity()
      assert.deepEqual([size, ino], [6, (await systemDisk.identity(path)).ino])
      await assert.rejects(create(path), { code: 'EEXIST' })
    })
  }
})
