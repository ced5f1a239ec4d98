import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { install, mint } from '../helpers/installation.ts'
import { eventually, readRecords } from '../helpers/journal.ts'
import { startServer } from '../helpers/process.ts'
import { inFull } from '../helpers/scale.ts'
import { seededChance } from '../helpers/seams.ts'

const LIMITS = { RATE_LIMIT_SUBJECT: '1000000/1m', RATE_LIMIT_KEY: '1000000/1m' }
const CLIENTS = 16
const LOOK_EVERY_MS = 200
/** Many for one batch; as many as it can with LONG=1. */
const BETWEEN_REQUESTS_MS = inFull(0, 200)

describe('usage of a server that is killed at any moment under load', () => {
  it('is what its journal says after the next start, token for token', async (t) => {
    const chance = seededChance(t)
    const { DATA_DIR, secretKey, environment, use } = await install(t)
    const usage = async () => {
      const counts = { issued: 0, refused: 0 }
      const range = { from: 0, to: 2 ** 40 }
      await use(({ store }) =>
        store.usage.read({ environmentId: environment.id, grain: 'minute', ...range }, (rows) => {
          for (const { outcome, count } of rows) counts[outcome === 'issued' ? 'issued' : 'refused'] += count
        }),
      )
      return counts
    }
    let held = 0
    for (let kill = 0; kill < inFull(10, 2); kill += 1) {
      const server = await startServer(t, { DATA_DIR, ...LIMITS })
      let isKilled = false
      const client = async (_: unknown, index: number) => {
        // One of them asks for what it may not have.
        const user = index === 0 ? '' : `user-${index}`
        while (!isKilled) {
          held += Number((await mint(server.url, secretKey, user).catch(() => undefined))?.status === 200)
          await pause(BETWEEN_REQUESTS_MS)
        }
      }
      const clients = Array.from({ length: CLIENTS }, client)
      // Into the moment in which a batch is written.
      await eventually(async () => {
        // To look costs as much as many requests.
        await pause(LOOK_EVERY_MS)
        return (await usage()).issued > 0
      }, 'a batch is written')
      await pause(chance(3_500))
      await server.stop('SIGKILL')
      isKilled = true
      await Promise.all(clients)
    }
    const last = await startServer(t, { DATA_DIR, ...LIMITS })
    await mint(last.url, secretKey)
    // Its end writes what is left.
    assert.equal((await last.stop('SIGINT')).code, 0)
    const records = readRecords(join(DATA_DIR, 'journal'))
    const rest = records.flatMap(({ counts }) => (Array.isArray(counts) ? counts : []))
    const recorded = {
      issued: records.filter(({ type }) => type === 'issued').length,
      refused:
        records.filter(({ type }) => type === 'refused').length +
        rest.reduce((sum, { count }) => sum + count, 0),
    }
    assert.deepEqual(await usage(), recorded)
    assert.ok(recorded.issued > held && recorded.refused > 0, `${recorded.issued} records for ${held} tokens`)
    t.diagnostic(`${recorded.issued} issued and ${recorded.refused} refused`)
  })
})
