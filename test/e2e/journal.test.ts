import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { install, KILLS, mint, useInstallation } from '../helpers/installation.ts'
import { eventually, filesIn, readRecords, verifyAll } from '../helpers/journal.ts'
import { startServer, temporaryFolder } from '../helpers/process.ts'
import { seededChance } from '../helpers/seams.ts'

const UNLIMITED = { RATE_LIMIT_SUBJECT: '1000000/1m', RATE_LIMIT_KEY: '1000000/1m' }
const CONNECTIONS = 32
/** A user of nobody's files. */
const NOBODY = 65_534

/** Asks for one token and gives its `jti`, or the code of the refusal. */
async function ask(
  url: string,
  key: string,
): Promise<{ jti?: string | undefined; error?: string | undefined }> {
  const { token, error } = await mint(url, key)
  return token === undefined ? { error } : { jti: decodeJwt(token).jti }
}

function jtisIn(folder: string): Set<unknown> {
  return new Set(readRecords(folder).map(({ jti }) => jti))
}

describe('a server that is killed at any moment', () => {
  it('has recorded every token that a client holds, and its chain holds together', async (t) => {
    const chance = seededChance(t)
    const { DATA_DIR, secretKey } = await install(t)
    const folder = join(DATA_DIR, 'journal')
    const held: string[] = []
    for (let kill = 0; kill < KILLS; kill += 1) {
      const server = await startServer(t, { DATA_DIR, ...UNLIMITED })
      let isKilled = false
      const client = async () => {
        while (!isKilled) {
          const { jti } = await ask(server.url, secretKey).catch(() => ({ jti: undefined }))
          if (jti !== undefined) held.push(jti)
        }
      }
      const clients = Array.from({ length: CONNECTIONS }, client)
      const before = held.length
      await eventually(() => held.length > before, 'a token was minted')
      await sleep(chance(300))
      await server.stop('SIGKILL')
      isKilled = true
      await Promise.all(clients)
      for (const { broken } of await verifyAll(folder)) assert.equal(broken, undefined)
    }
    const server = await startServer(t, { DATA_DIR })
    await server.stop('SIGINT')
    const recorded = jtisIn(folder)
    for (const jti of held) assert.ok(recorded.has(jti), `${jti} is not recorded`)
    const [chain, ...others] = await verifyAll(folder)
    assert.deepEqual([chain?.broken, chain?.files, others.length], [undefined, KILLS + 1, 0])
    t.diagnostic(`${held.length} tokens were held; ${chain?.notes.length} files end in what does not count`)
  })
})

describe('a server whose journal cannot be written', () => {
  it('answers 503 on a full disk, says so at /readyz, and recovers within a second', async (t) => {
    // Set before the hook that removes the folder: what is mounted in it goes first.
    let unmount = () => {}
    t.after(() => unmount())
    const { DATA_DIR, secretKey } = await install(t)
    const folder = join(DATA_DIR, 'journal')
    if (!mountSmall(folder)) return t.skip('no disk can be mounted here')
    unmount = () => execFileSync('umount', ['--lazy', folder])
    const ballast = join(folder, 'ballast')
    writeFileSync(ballast, Buffer.alloc(800_000))
    const server = await startServer(t, { DATA_DIR, ...UNLIMITED })
    const held: string[] = []
    let refusal: string | undefined
    const fill = async () => {
      while (refusal === undefined) {
        const { jti, error } = await ask(server.url, secretKey)
        if (jti !== undefined) held.push(jti)
        refusal ??= error
      }
    }
    await Promise.all(Array.from({ length: 8 }, fill))
    assert.equal(refusal, 'journal_unavailable')
    const readyz = async () => (await fetch(`${server.url}/readyz`)).status
    // The last blocks go to what is still small enough for them.
    await eventually(async () => {
      const { jti } = await ask(server.url, secretKey)
      if (jti !== undefined) held.push(jti)
      return jti === undefined && (await readyz()) === 503
    }, 'it says so')
    rmSync(ballast)
    const from = performance.now()
    await eventually(async () => (await readyz()) === 200, 'it recovers')
    const tookMs = performance.now() - from
    t.diagnostic(`It recovered after ${Math.round(tookMs)} ms`)
    assert.ok(tookMs < 1_000, `${tookMs} ms`)
    const { jti = '' } = await ask(server.url, secretKey)
    const recorded = jtisIn(folder)
    for (const one of [...held, jti]) assert.ok(recorded.has(one), `${one} is not recorded`)
    assert.equal((await verifyAll(folder))[0]?.broken, undefined)
    assert.match(server.stdout(), /"the journal cannot be written"/)
    assert.equal((await server.stop('SIGINT')).code, 0)
  })

  it('goes on when it may write again', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can run a server as somebody else')
    const DATA_DIR = await temporaryFolder(t)
    const { secretKey } = await useInstallation({ DATA_DIR }, ({ environments }) =>
      environments.create('Test'),
    )
    const folder = join(DATA_DIR, 'journal')
    mkdirSync(folder, { mode: 0o500 })
    for (const name of ['', ...readdirSync(DATA_DIR)]) chownSync(join(DATA_DIR, name), NOBODY, NOBODY)
    if (spawnSync(process.execPath, ['--version'], { uid: NOBODY, gid: NOBODY }).status !== 0) {
      return t.skip('nobody may run Node here')
    }
    const server = await startServer(t, { DATA_DIR }, { uid: NOBODY, gid: NOBODY })
    const isReady = async () => (await fetch(`${server.url}/readyz`)).status === 200
    assert.equal(await isReady(), false)
    assert.equal((await ask(server.url, secretKey)).error, 'journal_unavailable')
    chmodSync(folder, 0o700)
    await eventually(isReady, 'it may write')
    // And once more while it runs, when it has to begin another file.
    const [path = ''] = filesIn(folder)
    chmodSync(dirname(path), 0o500)
    rmSync(path)
    await eventually(async () => !(await isReady()), 'it says so')
    assert.equal((await ask(server.url, secretKey)).error, 'journal_unavailable')
    chmodSync(dirname(path), 0o700)
    await eventually(isReady, 'it may write again')
    const { jti } = await ask(server.url, secretKey)
    assert.ok(jtisIn(folder).has(jti))
  })
})

/** Puts a disk of a megabyte there, where that can be done. */
function mountSmall(folder: string): boolean {
  mkdirSync(folder)
  const options = ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', folder]
  return process.getuid?.() === 0 && spawnSync('mount', options).status === 0
}
