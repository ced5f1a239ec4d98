import { createPublicKey, createSecretKey, randomBytes } from 'node:crypto'
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
  /** Whoever was started, so that whoever began can end them. */
  readonly running: BenchServer[]
  readonly connections: number
  readonly seconds: number
}

/** Starts contestants, each in a process of its own. */
export async function startAll(names: readonly Name[], arena: Arena): Promise<Map<Name, Side>> {
  const sides = new Map<Name, Side>()
  // The limit answers with as much as Jeton does, so that one is asked first.
  sides.set('hs256', await jeton('hs256', arena))
  const bytes = await answerLength(sides.get('hs256'))
  for (const name of names) if (!sides.has(name)) sides.set(name, await start(name, arena, bytes))
  return new Map(names.flatMap((name) => [...sides].filter(([known]) => known === name)))
}

function start(name: Name, arena: Arena, bytes: number): Promise<Side> {
  switch (name) {
    case 'http':
      return bare(name, contestant('bare-http.js'), arena, bytes)
    case 'fastify':
      return bare(name, BARE_FASTIFY, arena, bytes)
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

async function bare(name: Name, program: string, arena: Arena, bytes: number): Promise<Side> {
  const server = await run(arena, program, { BYTES: `${bytes}` })
  const check = (body: string) => {
    if (body.length !== bytes) throw new WrongAnswer(`${NAMES[name]} answered ${body}`)
  }
  // The same key that nobody looks at, so that the request has the same headers.
  return side(name, server, { path: '/', authorizations: ['Bearer none'], body: BODY }, arena, check)
}

async function express(arena: Arena): Promise<Side> {
  const SECRET = newSecret()
  const server = await run(arena, contestant('express-jsonwebtoken.js'), { SECRET, NODE_ENV: 'production' })
  const verify = tokenCheck(secretKey(SECRET))
  const load = { path: '/auth/token', authorizations: ['Bearer none'], body: BODY }
  return side('express', server, load, arena, (body) => verify(JSON.parse(body).token))
}

async function oidc(name: 'oidc' | 'oidcHs256', arena: Arena): Promise<Side> {
  const [SECRET, CLIENT_SECRET] = [newSecret(), newSecret()]
  const env = { CLIENT_ID: 'bench', CLIENT_SECRET, NODE_ENV: 'production' }
  const program = contestant('oidc-provider.js')
  const server = await run(arena, program, name === 'oidc' ? env : { ...env, SECRET })
  const keys = name === 'oidc' ? await publicKeys(`${server.url}/jwks`) : secretKey(SECRET)
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
  const server = await run(arena, contestant('bare-mint.ts'), { SECRET, SECRET_KEY })
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

async function publicKeys(url: string): Promise<VerifyingKeys> {
  const { keys } = jwksSchema.parse(await (await fetch(url)).json())
  return new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]))
}

async function jeton(name: Name, arena: Arena): Promise<Side> {
  const signingAlgorithm = name === 'eddsa' || name === 'leastEddsa' ? 'EdDSA' : 'HS256'
  const { env, secretKey, verify } = await install(join(arena.folder, name), {}, { signingAlgorithm })
  const off = Object.entries(OFF).find(([known]) => known === name)?.[1] ?? {}
  const program = 'OFF' in off ? JETON_IN_PARTS : MAIN
  const server = await run(arena, program, { ...env, ...off })
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

async function run(arena: Arena, program: string, env: Readonly<Record<string, string>>) {
  const server = await startServer(env, program)
  arena.running.push(server)
  return server
}

async function answerLength(jeton: Side | undefined): Promise<number> {
  if (jeton === undefined) throw new Error('Jeton was not started')
  const { bodies } = await ask(jeton.server.url, { ...jeton.load, connections: 1, seconds: 1 }, true)
  return bodies[0]?.length ?? 0
}
