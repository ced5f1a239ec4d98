import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { Revocation } from '../../src/domain/revocation.ts'
import { createRevocations, type Feed } from '../../src/gate/revocations.ts'
import { createRevoke } from '../../src/gate/revoke.ts'
import { createFollower } from '../../src/keys/follower.ts'
import { openSqlite } from '../../src/store/open-sqlite.ts'
import { changesSince } from '../helpers/changes.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { inFull } from '../helpers/scale.ts'
import { type DrivenSeams, drivenSeams, seededChance } from '../helpers/seams.ts'

const ENVIRONMENTS = ['env_0000000000000001', 'env_0000000000000002'] as const
const STEPS = inFull(20_000, 2_000)

/** One process that follows the store as late as it likes. */
function startProcess(path: string, seams: DrivenSeams) {
  const store = openSqlite(path)
  const follower = createFollower({ store, seams, staleKeysSeconds: 30 })
  const revocations = createRevocations({ follower, seams })
  return { store, follower, revocations, revoke: createRevoke({ store, follower, seams }) }
}

type Known = ReadonlyMap<string, Pick<Revocation, 'before' | 'until'>>
const nameOf = ({ kind, value }: Revocation) => `${kind} ${value}`

/** What a reader does that judges by itself: it adds what it is told, and goes on from the version that came with it. */
function createReader() {
  const known = new Map<string, Pick<Revocation, 'before' | 'until'>>()
  let version = 0
  return {
    known: (): Known => known,
    version: () => version,
    take(feed: Feed) {
      for (const revocation of feed.revocations) {
        const { before = -1, until } = known.get(nameOf(revocation)) ?? { until: 0 }
        known.set(nameOf(revocation), {
          before: Math.max(before, revocation.before ?? -1),
          until: Math.max(until, revocation.until),
        })
      }
      version = feed.version
    },
  }
}

function assertKnown(known: Known, revocations: readonly Revocation[], what: string): void {
  for (const revocation of revocations) {
    const found = known.get(nameOf(revocation))
    assert.ok(found, `${what}: ${nameOf(revocation)} is missed`)
    assert.ok((found.before ?? -1) >= (revocation.before ?? -1), `${what}: ${nameOf(revocation)} is older`)
    assert.ok(found.until >= revocation.until, `${what}: ${nameOf(revocation)} ends earlier`)
  }
}

async function installed(t: TestContext) {
  const path = join(await temporaryFolder(t), 'jeton.db')
  const seams = drivenSeams()
  const processes = [startProcess(path, seams), startProcess(path, seams)]
  t.after(async () => {
    for (const { store } of processes) await store.close()
  })
  const [first] = processes
  assert.ok(first)
  await first.store.prepare()
  for (const id of ENVIRONMENTS) {
    const plain = { signingAlgorithm: undefined, turn: undefined, settings: {}, archivedAt: undefined }
    await first.store.change(({ insertEnvironment }) =>
      insertEnvironment({ id, name: id, tag: 'live', createdAt: 0, ...plain }),
    )
  }
  for (const { follower } of processes) await follower.refresh()
  return { path, seams, processes }
}

describe('a reader of the feed', () => {
  it('misses no revocation that is alive, whichever process it asks, however late that one is', async (t) => {
    const chance = seededChance(t)
    const { path, seams, processes } = await installed(t)
    const readers = ENVIRONMENTS.map((environmentId) => ({ environmentId, reader: createReader() }))
    const oneOf = <T>(list: readonly T[]): T => {
      const found = list[chance(list.length)]
      assert.ok(found)
      return found
    }
    let restarts = 0
    for (let step = 0; step < STEPS; step += 1) {
      const process = oneOf(processes)
      const { environmentId, reader } = oneOf(readers)
      const doing = chance(100)
      if (doing < 35) {
        const value = `${chance(30)}`
        const before = Math.floor(seams.now() / 1000) - chance(100)
        await process.revoke.revoke(
          oneOf(ENVIRONMENTS),
          oneOf([{ jti: value }, { subject: value }, { subject: value, before }]),
        )
      } else if (doing < 50) await process.follower.refresh()
      else if (doing < 52) seams.advance(chance(40_000_000))
      else if (doing < 54) {
        await process.store.close()
        const again = startProcess(path, seams)
        await again.follower.refresh()
        processes[processes.indexOf(process)] = again
        restarts += 1
      } else {
        reader.take(process.revocations.since(environmentId, reader.version()))
        const all = process.revocations.since(environmentId, 0).revocations
        assertKnown(reader.known(), all, `step ${step}`)
      }
    }
    for (const { follower, revocations, store } of processes) {
      await follower.refresh()
      const now = seams.now() / 1000
      const alive = (await changesSince(store, 0)).revocations.filter(({ until }) => until > now)
      for (const { environmentId, reader } of readers) {
        reader.take(revocations.since(environmentId, reader.version()))
        const own = alive.filter((one) => one.environmentId === environmentId)
        assertKnown(reader.known(), own, 'in the end')
      }
    }
    assert.ok(restarts > 0)
  })
})
