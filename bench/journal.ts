// What the journal costs beside no journal: `npm run bench:journal`. docs/journal.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { FAR_LIMIT, install } from './jeton.ts'
import { NUMBER } from './load.ts'
import { alternate, figures, type Side } from './rounds.ts'
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
    const [off, on] = sides
    printRounds('tokens/s', figures(off, 'rate'), figures(on, 'rate'))
    printRounds('processor µs a token', figures(off, 'cost'), figures(on, 'cost'))
    const times = median(ratiosOf(figures(off, 'cost'), figures(on, 'cost')))
    if (journal === 'file' && times > MOST_TIMES_OFF) {
      printLine([`Broken: more than ${MOST_TIMES_OFF} times a token without a record.`])
      process.exitCode = 1
    }
  }
} finally {
  await rm(folder, { recursive: true })
}

async function mintingSide(JOURNAL: string): Promise<Side> {
  const DATA_DIR = await mkdtemp(join(folder, 'data-'))
  const more = { JOURNAL, RATE_LIMIT_SUBJECT: FAR_LIMIT }
  const { env, secretKey, verify } = await install(DATA_DIR, more)
  const body = JSON.stringify({ peerId: `peer-${NUMBER}`, channels: ['room-1'] })
  return {
    name: `JOURNAL=${JOURNAL}`,
    server: await startServer(env, MAIN),
    load: { path: '/v1/tokens', authorizations: [`Bearer ${secretKey}`], body, connections, seconds },
    check: (answer) => verify(JSON.parse(answer).token),
    checksAll: true,
    rounds: [],
  }
}
