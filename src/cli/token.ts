import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { z } from 'zod'
import { readConfig } from '../config.ts'
import { CLIENT_KEY_PREFIX } from '../formats/client.ts'
import { systemSeams } from '../seams.ts'
import { parseAsk } from './ask-text.ts'
import { UsageError } from './input.ts'
import { needEnvironment } from './lookup.ts'
import { moment, type OutputOptions, print, printRecord, printTable, withInstallation } from './output.ts'

/** `jeton token …` */
export function tokenCommands(program: Command): void {
  const token = program.command('token').description('look into a token')

  token
    .command('inspect')
    .description('print what a token says; nothing is verified, and no installation is needed')
    .argument('[token]', 'the token; standard input when left out, or -')
    .option('--json', 'print one line of JSON')
    .action(inspect)

  token
    .command('explain')
    .description('let the gate judge a token, rule by rule; exits with 1 when it refuses')
    .argument('[token]', 'the token; standard input when left out, or -')
    .option('--environment <id>', 'the environment that is asked; the audience of the token when left out')
    .option(
      '--ask <ask>',
      'what the holder wants: publish:CHANNEL (or subscribe, presence), send, peer:GROUP:PEER, model:NAME, or JSON',
    )
    .option('--origin <origin>', 'the Origin that the browser sent')
    .option('--publishable-key <key>', 'the pk_… that came with the token')
    .option('--json', 'print one line of JSON: what POST /v1/verify answers')
    .action(explain)
}

async function inspect(argument: string | undefined, { json }: OutputOptions): Promise<void> {
  const written = await readToken(argument)
  const [header, claims] = partsOf(written)
  if (json) {
    print(JSON.stringify({ header, claims, bytes: written.length }))
    return
  }
  print(JSON.stringify(header, undefined, 2))
  print(JSON.stringify(claims, undefined, 2))
  const now = Math.floor(systemSeams.now() / 1000)
  printRecord({
    issued: inWords(claims.iat, now),
    ends: inWords(claims.exp, now),
    size: `${written.length} bytes`,
  })
  print('Nothing of this is verified: `jeton token explain` asks the gate.')
}

interface ExplainOptions extends OutputOptions {
  readonly environment?: string
  readonly ask?: string
  readonly origin?: string
  readonly publishableKey?: string
}

async function explain(argument: string | undefined, options: ExplainOptions): Promise<void> {
  const { environment: named, ask: asked, origin, publishableKey, json } = options
  const ask = asked === undefined ? undefined : parseAsk(asked)
  const token = await readToken(argument)
  const id = named ?? audienceOf(token)
  const decision = await withInstallation(async (installation) => {
    const environment = await needEnvironment(installation, id)
    // Only here, since most commands judge nothing and begin sooner without the server's parts.
    const { openGate } = await import('../compose.ts')
    const gate = await openGate(readConfig(), installation, systemSeams)
    return gate.verify(environment, { token, publishableKey, origin, ask })
  })
  if (!decision.allowed) process.exitCode = 1
  if (json) {
    print(JSON.stringify(decision))
    return
  }
  printTable(
    ['RULE', 'OUTCOME', 'WHY'],
    decision.checks.map(({ check, ok, detail = '' }) => [check, ok ? 'ok' : 'refused', detail]),
  )
  print(
    decision.allowed
      ? `allowed: ${decision.format} token for ${decision.subject ?? 'nobody in particular'}`
      : `refused: ${decision.code}, close code ${decision.closeCode}`,
  )
}

async function readToken(argument: string | undefined): Promise<string> {
  const written = argument === undefined || argument === '-' ? await text(process.stdin) : argument
  return written.trim()
}

const jsonObject = z.record(z.string(), z.unknown())

// Whatever it says: a token that the gate would not even read is looked into the same way.
function partsOf(written: string): [header: Record<string, unknown>, claims: Record<string, unknown>] {
  const token = written.startsWith(CLIENT_KEY_PREFIX) ? written.slice(CLIENT_KEY_PREFIX.length) : written
  try {
    const [header, claims] = token
      .split('.', 2)
      .map((part) => jsonObject.parse(JSON.parse(Buffer.from(part, 'base64url').toString())))
    if (header !== undefined && claims !== undefined) return [header, claims]
  } catch {
    // Said below, for one part that is missing as for one that is none.
  }
  throw new UsageError('This is no token: it has no header and payload that are JSON objects in base64url.')
}

// The gate judges for the environment that asks. Here that is whichever the token is for, unless one is named.
function audienceOf(written: string): string {
  const [, { aud }] = partsOf(written)
  if (typeof aud === 'string') return aud
  throw new UsageError('The token names no audience: say which environment is asked with --environment.')
}

const STEPS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** A moment of a token, and how far it is from now: `2026-11-22T12:00:00Z, in 59 minutes`. */
function inWords(unixSeconds: unknown, now: number): string | undefined {
  if (typeof unixSeconds !== 'number' || Number.isNaN(new Date(unixSeconds * 1000).getTime()))
    return undefined
  const distance = unixSeconds - now
  const [unit, seconds] = STEPS.find(([, length]) => Math.abs(distance) >= length) ?? ['second', 1]
  const words = new Intl.RelativeTimeFormat('en').format(Math.trunc(distance / seconds), unit)
  return `${moment(unixSeconds * 1000)}, ${words}`
}
