// What a verify costs beside a bare Fastify route: `npm run bench:verify`. docs/operations.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { readConfig } from '../src/config.ts'
import { openInstallation } from '../src/installation.ts'
import { systemSeams } from '../src/seams.ts'
import { alternate, type Side } from './rounds.ts'
import { BARE_FASTIFY, type BenchServer, MAIN, startServer } from './server.ts'
import { median, printLine, printRounds, ratiosOf } from './table.ts'

/** How many times the processor time of a bare route a verify of an HS256 token may take. */
const MOST_TIMES_BARE = 4

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

/** What is judged: each format as it is signed by default. */
const TOKENS = [
  [
    'HS256',
    '/v1/tokens',
    { peerId: 'alice', channels: ['room-*'] },
    { action: 'subscribe', channel: 'room-1' },
  ],
  ['EdDSA', '/v1/peer/tokens', { groupId: 'g', peerId: 'alice' }, undefined],
] as const

const folder = await mkdtemp(join(tmpdir(), 'jeton-bench-'))
const running: BenchServer[] = []
try {
  const { jeton, key } = await startJeton(join(folder, 'data'))
  for (const [algorithm, path, request, ask] of TOKENS) {
    const { token } = z.object({ token: z.string() }).parse(await post(jeton, path, key, request))
    const body = JSON.stringify({ token, ...(ask && { ask }) })
    const answer = JSON.stringify(await post(jeton, '/v1/verify', key, JSON.parse(body)))
    const bare = await run(BARE_FASTIFY, { BYTES: `${answer.length}` })
    const side = (server: BenchServer, route: string, isRight: Side['load']['isRight']): Side => ({
      server,
      load: { next: () => ({ path: route, key, body }), isRight, connections, seconds },
      rates: [],
      costs: [],
    })
    const sides = [
      side(bare, '/', (status, text) => status === 200 && text.length === answer.length),
      side(jeton, '/v1/verify', (status, text) => status === 200 && text.startsWith('{"allowed":true')),
    ] as const
    await alternate(sides, rounds)
    printLine([`${algorithm}, ${connections} connections`, 'bare Fastify', 'POST /v1/verify', 'ratio'])
    printRounds('answers/s', sides[0].rates, sides[1].rates)
    printRounds('processor µs an answer', sides[0].costs, sides[1].costs)
    const times = median(ratiosOf(sides[0].costs, sides[1].costs))
    if (algorithm === 'HS256' && times > MOST_TIMES_BARE) {
      printLine([`Broken: more than ${MOST_TIMES_BARE} times a bare route.`])
      process.exitCode = 1
    }
  }
} finally {
  for (const server of running) await server.stop()
  await rm(folder, { recursive: true })
}

async function startJeton(DATA_DIR: string): Promise<{ jeton: BenchServer; key: string }> {
  const env = { DATA_DIR, LOG_LEVEL: 'info' }
  const installation = await openInstallation(readConfig(env), systemSeams)
  const { secretKey } = await installation.environments.create('Bench')
  await installation.close()
  return { jeton: await run(MAIN, env), key: secretKey }
}

async function run(program: string, env: Readonly<Record<string, string>>): Promise<BenchServer> {
  const server = await startServer(env, program)
  running.push(server)
  return server
}

async function post({ url }: BenchServer, path: string, key: string, body: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const reply = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return await reply.json()
}
