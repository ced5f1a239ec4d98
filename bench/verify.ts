// What a verify costs beside a bare Fastify route: `npm run bench:verify`. docs/operations.md tells of the results.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { install } from './jeton.ts'
import { WrongAnswer } from './load.ts'
import { alternate, figures, type Side } from './rounds.ts'
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
    const side = (server: BenchServer, route: string, isRight: (text: string) => boolean): Side => ({
      name: route,
      server,
      load: { path: route, authorizations: [`Bearer ${key}`], body, connections, seconds },
      check(text) {
        if (!isRight(text)) throw new WrongAnswer(`Not what was wanted: ${text}`)
      },
      checksAll: true,
      rounds: [],
    })
    const sides = [
      side(bare, '/', (text) => text.length === answer.length),
      side(jeton, '/v1/verify', (text) => text.startsWith('{"allowed":true')),
    ] as const
    await alternate(sides, rounds)
    printLine([`${algorithm}, ${connections} connections`, 'bare Fastify', 'POST /v1/verify', 'ratio'])
    const [limit, gate] = sides
    printRounds('answers/s', figures(limit, 'rate'), figures(gate, 'rate'))
    printRounds('processor µs an answer', figures(limit, 'cost'), figures(gate, 'cost'))
    const times = median(ratiosOf(figures(limit, 'cost'), figures(gate, 'cost')))
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
  const { env, secretKey } = await install(DATA_DIR)
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
