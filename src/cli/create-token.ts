import { type Command, Option } from 'commander'
import { z } from 'zod'
import { errorCode } from '../domain/error-code.ts'
import { PEER_ID, type Policy, parsePolicyText } from '../domain/policy.ts'
import { peer, peerClaims } from '../formats/peer.ts'
import { peerSecretFault, signPeerToken } from '../keys/peer-secret.ts'
import { systemSeams } from '../seams.ts'
import { UsageError } from './input.ts'
import { print } from './output.ts'

const ANSWER_WITHIN_MS = 10_000

/** A key of Jeton's own, well-formed or mistyped: that is for Jeton to say. */
const JETON_KEY = /^sk_[a-z0-9]{1,8}_/

/** `jeton create-token`, with the flags and variables of PulseBeam's own (WIRE 4). It prints the token and nothing else. */
export function createTokenCommand(program: Command): void {
  program
    .command('create-token')
    .description('print a peer token: signed here with a PulseBeam secret, or asked of a Jeton')
    .addOption(
      new Option('--api-key <id>', 'id of the key, kid_…').env('PULSEBEAM_API_KEY').makeOptionMandatory(),
    )
    .addOption(
      new Option('--api-secret <secret>', 'the secret, sk_…')
        .env('PULSEBEAM_API_SECRET')
        .makeOptionMandatory(),
    )
    .requiredOption('--peer-id <id>', 'who the token is for')
    .requiredOption('--group-id <id>', 'the group that the peer is of')
    .option('--duration <seconds>', 'how long it lives', '3600')
    .option('--allow-policy <group:peer>', 'whom the peer may connect to, at most one * in each part')
    .addOption(new Option('--url <url>', 'where Jeton is, for a secret of its own').env('JETON_URL'))
    .action(createToken)
}

interface Options {
  readonly apiKey: string
  readonly apiSecret: string
  readonly peerId: string
  readonly groupId: string
  readonly duration: string
  readonly allowPolicy?: string
  readonly url?: string
}

async function createToken(options: Options): Promise<void> {
  const { apiKey, apiSecret, peerId, groupId, url } = options
  if (!PEER_ID.test(peerId))
    throw new UsageError('The peer id must be 1 to 36 characters of a-z, A-Z, 0-9, _ and -.')
  if (!PEER_ID.test(groupId))
    throw new UsageError('The group id must be 1 to 36 characters of a-z, A-Z, 0-9, _ and -.')
  refuseUnprintable('key id', apiKey)
  refuseUnprintable('secret', apiSecret)
  const policy = readPolicy(options.allowPolicy)
  const seconds = readDuration(options.duration)
  if (JETON_KEY.test(apiSecret)) {
    print(
      await askJeton(url, `${apiKey}:${apiSecret}`, {
        groupId,
        peerId,
        allowPolicy: textsOf(policy),
        ttlSeconds: seconds,
      }),
    )
    return
  }
  const fault = peerSecretFault(apiSecret)
  if (fault !== undefined) throw new UsageError(fault)
  const expiresAt = Math.floor(systemSeams.now() / 1000) + seconds
  print(signPeerToken(apiKey, apiSecret, peerClaims(expiresAt, groupId, peerId, policy)))
}

function readPolicy(text: string | undefined): Policy | undefined {
  if (text === undefined) return undefined
  const policy = parsePolicyText(text)
  if ('fault' in policy) throw new UsageError(`The policy ${policy.fault}.`)
  return policy
}

function textsOf(policy: Policy | undefined) {
  return policy && { groupId: policy.groupId.text, peerId: policy.peerId.text }
}

function readDuration(text: string): number {
  const { longestSeconds } = peer.lifetime
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0
  if (seconds >= 1 && seconds <= longestSeconds) return seconds
  throw new UsageError(`The duration must be a whole number of seconds from 1 to ${longestSeconds}.`)
}

const answer = z.object({ token: z.string() })
const problem = z.object({ message: z.string() })

async function askJeton(url: string | undefined, credentials: string, body: object): Promise<string> {
  const response = await post(new URL('/v1/peer/tokens', baseOf(url)), credentials, body)
  const found = answer.safeParse(response.body)
  if (response.ok && found.success) return found.data.token
  const said = problem.safeParse(response.body)
  throw new UsageError(said.success ? said.data.message : `Jeton answered ${response.status}, and no token.`)
}

// Neither the URL nor what fetch says of it is repeated: both could hold a password.
function baseOf(url: string | undefined): URL {
  if (url === undefined) throw new UsageError('Say where Jeton is: --url or JETON_URL.')
  const base = URL.canParse(url) ? new URL(url) : undefined
  const isHttp = base?.protocol === 'http:' || base?.protocol === 'https:'
  if (base !== undefined && isHttp && base.username === '' && base.password === '') return base
  throw new UsageError('The URL of Jeton must be an http or https URL without a user or a password.')
}

async function post(url: URL, credentials: string, body: object) {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${credentials}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      // Whoever answers with a redirection would be handed the secret.
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
    return { ok: response.ok, status: response.status, body: await response.json().catch(() => undefined) }
  } catch (error) {
    const code = (error instanceof Error && errorCode(error.cause)) || 'no answer'
    throw new UsageError(`Jeton at ${url.origin} cannot be reached: ${code}.`)
  }
}

function refuseUnprintable(what: string, text: string): void {
  if (/^[\x21-\x7e]+$/.test(text)) return
  throw new UsageError(
    `The ${what} must be printable characters without spaces or line breaks, and not empty.`,
  )
}
