import { createPublicKey, createSecretKey, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { install } from './jeton.ts'
import { ask, type Load, NUMBER, WrongAnswer } from './load.ts'
import type { Side } from './rounds.ts'
import { BARE_FASTIFY, type BenchServer, contestant, JETON_IN_PARTS, MAIN, startServer } from './server.ts'
import { tokenCheck, type VerifyingKeys } from './token-check.ts'

/** The request of all who are asked for a user token: as the limits count subjects, each is for another one. */
const BODY = JSON.stringify({ userId: `user-${NUMBER}`, name: 'Alice' })

/** Who is measured. The names stand in the results. */
export const NAMES = {
  http: 'node:http, bare',
  fastify: 'Fastify, bare',
  express: 'express + jsonwebtoken',
  oidc: 'oidc-provider, RS256 as by default',
  oidcHs256: 'oidc-provider, HS256',
  bareMint: 'Fastify, zod and an HMAC',
  hs256: 'Jeton, HS256',
  eddsa: 'Jeton, EdDSA',
  noJournal: '… HS256 without journal',
  noLimits: '… HS256 without limits',
  noLog: '… HS256 without log',
  noMetrics: '… HS256 without metrics',
  least: '… HS256 without all of these',
  leastEddsa: '… EdDSA without all of these',
} as const

export type Name = keyof typeof NAMES

/** Whose programs come from bench/package.json. */
export const PEERS: ReadonlySet<Name> = new Set(['express', 'oidc', 'oidcHs256'])

const OFF = {
  noJournal: { JOURNAL: 'off' },
  noLimits: { OFF: 'limits' },
  noMetrics: { OFF: 'metrics' },
  // A log that says nothing does not say that the server listens, so another program does.
  noLog: { LOG_LEVEL: 'silent', OFF: '' },
  least: { JOURNAL: 'off', LOG_LEVEL: 'silent', OFF: 'limits metrics' },
  leastEddsa: { JOURNAL: 'off', LOG_LEVEL: 'silent', OFF: 'limits metrics' },
} as const

export interface Arena {
  /** Where installations are made. */
  readonly folder: string
  readonly connections: number
  readonly seconds: number
}

/** Starts a contestant in a process of its own, hands it out, and ends it. */
export async function alone<Found>(
  name: Name,
  arena: Arena,
  use: (side: Side) => Promise<Found>,
): Promise<Found> {
  const folder = await mkdtemp(join(arena.folder, 'alone-'))
  const side = await start(name, { ...arena, folder })
  try {
    return await use(side)
  } finally {
    await side.server.stop()
    await rm(folder, { recursive: true })
  }
}

function start(name: Name, arena: Arena): Promise<Side> {
  switch (name) {
    case 'http':
      return bare(name, contestant('bare-http.js'), arena)
    case 'fastify':
      return bare(name, BARE_FASTIFY, arena)
    case 'express':
      return express(arena)
    case 'oidc':
    case 'oidcHs256':
      return oidc(name, arena)
    case 'bareMint':
      return bareMint(arena)
    default:
      return jeton(name, arena)
  }
}

async function bare(name: Name, program: string, arena: Arena): Promise<Side> {
  const bytes = await answerLength(arena)
  const server = await startServer({ BYTES: `${bytes}` }, program)
  const check = (body: string) => {
    if (body.length !== bytes) throw new WrongAnswer(`${NAMES[name]} answered ${body}`)
  }
  // The same key that nobody looks at, so that the request has the same headers.
  return side(name, server, { path: '/', authorizations: ['Bearer none'], body: BODY }, arena, check)
}

async function express(arena: Arena): Promise<Side> {
  const SECRET = newSecret()
  const server = await startServer({ SECRET, NODE_ENV: 'production' }, contestant('express-jsonwebtoken.js'))
  const verify = tokenCheck(secretKey(SECRET))
  const load = { path: '/auth/token', authorizations: ['Bearer none'], body: BODY }
  return side('express', server, load, arena, (body) => verify(JSON.parse(body).token))
}

async function oidc(name: 'oidc' | 'oidcHs256', arena: Arena): Promise<Side> {
  const [SECRET, CLIENT_SECRET] = [newSecret(), newSecret()]
  const env = { CLIENT_ID: 'bench', CLIENT_SECRET, NODE_ENV: 'production' }
  const program = contestant('oidc-provider.js')
  const server = await startServer(name === 'oidc' ? env : { ...env, SECRET }, program)
  const keys = name === 'oidc' ? await publicKeysOf(server) : secretKey(SECRET)
  const verify = tokenCheck(keys)
  const load = {
    path: '/token',
    authorizations: [`Basic ${Buffer.from(`bench:${CLIENT_SECRET}`).toString('base64')}`],
    contentType: 'application/x-www-form-urlencoded',
    body: 'grant_type=client_credentials',
  }
  return side(name, server, load, arena, (body) => verify(JSON.parse(body).access_token))
}

async function bareMint(arena: Arena): Promise<Side> {
  const [SECRET, SECRET_KEY] = [newSecret(), newSecret()]
  const server = await startServer({ SECRET, SECRET_KEY }, contestant('bare-mint.ts'))
  const verify = tokenCheck(secretKey(SECRET))
  const load = { path: '/auth/token', authorizations: [`Bearer ${SECRET_KEY}`], body: BODY }
  return side('bareMint', server, load, arena, (body) => verify(JSON.parse(body).token))
}

function newSecret(): string {
  return randomBytes(24).toString('base64url')
}

function secretKey(secret: string): VerifyingKeys {
  return new Map([['', createSecretKey(Buffer.from(secret))]])
}

const jwksSchema = z.object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })) })

async function publicKeysOf(server: BenchServer): Promise<VerifyingKeys> {
  try {
    const { keys } = jwksSchema.parse(await (await fetch(`${server.url}/jwks`)).json())
    return new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]))
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function jeton(name: Name, arena: Arena): Promise<Side> {
  const signingAlgorithm = name === 'eddsa' || name === 'leastEddsa' ? 'EdDSA' : 'HS256'
  const { env, secretKey, verify } = await install(join(arena.folder, name), {}, { signingAlgorithm })
  const off = Object.entries(OFF).find(([known]) => known === name)?.[1] ?? {}
  const program = 'OFF' in off ? JETON_IN_PARTS : MAIN
  const server = await startServer({ ...env, ...off }, program)
  const load = { path: '/auth/token', authorizations: [`Bearer ${secretKey}`], body: BODY }
  return side(name, server, load, arena, (body) => verify(JSON.parse(body).token))
}

function side(
  name: Name,
  server: BenchServer,
  load: Omit<Load, 'connections' | 'seconds'>,
  { connections, seconds }: Arena,
  check: Side['check'],
): Side {
  const checksAll = name !== 'http' && name !== 'fastify'
  const full = { ...load, connections, seconds }
  return { name: NAMES[name], server, load: full, check, checksAll, rounds: [] }
}

let answersHave: number | undefined

/** How long an answer of Jeton is: the limit answers with as much. */
async function answerLength(arena: Arena): Promise<number> {
  answersHave ??= await alone('hs256', arena, async ({ server, load }) => {
    const { bodies } = await ask(server.url, { ...load, connections: 1, seconds: 1 }, true)
    return bodies[0]?.length ?? 0
  })
  return answersHave
}
