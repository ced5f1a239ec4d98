// What the journal costs beside no journal: `npm run bench:journal`. docs/journal.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '../src/config.ts'
import { openInstallation } from '../src/installation.ts'
import { systemSeams } from '../src/seams.ts'
import { alternate, type Side } from './rounds.ts'
import { MAIN, startServer } from './server.ts'
import { median, printLine, printRounds, ratiosOf } from './table.ts'

/** How many times the processor time of a token without a record one with a record may take. */
const MOST_TIMES_OFF = 1.1

const { values: options } = parseArgs({
  options: {
    connections: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
  },
})
const connections = Number(options.connections)
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)

const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
try {
  for (const journal of ['file', 'stdout']) {
    const sides = [await mintingSide('off'), await mintingSide(journal)] as const
    await alternate(sides, rounds)
    for (const { server } of sides) await server.stop()
    printLine([`${connections} connections`, 'JOURNAL=off', `JOURNAL=${journal}`, 'ratio'])
    printRounds('tokens/s', sides[0].rates, sides[1].rates)
    printRounds('processor µs a token', sides[0].costs, sides[1].costs)
    if (journal === 'file' && median(ratiosOf(sides[0].costs, sides[1].costs)) > MOST_TIMES_OFF) {
      printLine([`Broken: more than ${MOST_TIMES_OFF} times a token without a record.`])
      process.exitCode = 1
    }
  }
} finally {
  await rm(folder, { recursive: true })
}

async function mintingSide(JOURNAL: string): Promise<Side> {
  const DATA_DIR = await mkdtemp(join(folder, 'data-'))
  const env = { DATA_DIR, JOURNAL, RATE_LIMIT_SUBJECT: '1000000/1m', RATE_LIMIT_KEY: '1000000/1m' }
  const installation = await openInstallation(readConfig(env), systemSeams)
  const { secretKey: key } = await installation.environments.create('Bench')
  await installation.close()
  const body = JSON.stringify({ peerId: 'alice', channels: ['room-1'] })
  return {
    server: await startServer(env, MAIN),
    load: {
      next: () => ({ path: '/v1/tokens', key, body }),
      isRight: (status, text) => status === 200 && text.startsWith('{"token":"'),
      connections,
      seconds,
    },
    rates: [],
    costs: [],
  }
}
