import { createHmac } from 'node:crypto'
import type { RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import { errorCode } from '../domain/error-code.ts'
import { reachOf } from '../domain/outbound-address.ts'
import { request as httpRequest } from '../node-http.ts'

/** Where alerts are sent to, and how the receiver knows them. */
export interface WebhookTarget {
  /** May hold a user and a password. */
  readonly url: string
  /** Every one signs; two while the secret changes. */
  readonly secrets: readonly Uint8Array[]
  /** Whether it may lead to a private address, and only there without TLS. */
  readonly allowPrivate: boolean
}

/** What is sent: the same id again means the same event. */
export interface Message {
  /** Without a dot: it stands before one in what is signed. */
  readonly id: string
  /** JSON. */
  readonly body: string
}

/**
 * How a delivery went. `refused`: nothing was sent, since the name leads to an address that is not allowed. A reason is
 * ours, or the system's code: nothing of the URL or of the answer.
 */
export type Delivery =
  | { readonly result: 'delivered' }
  | { readonly result: 'refused'; readonly reason: string }
  | {
      readonly result: 'failed'
      readonly reason: string
      readonly retryAfterSeconds: number | undefined
      /** Whether the receiver wants no more of it. */
      readonly isGone: boolean
    }

/** Looks a name up, as `dns.promises.lookup` does. */
export type Lookup = (hostname: string) => Promise<readonly { readonly address: string }[]>

export interface WebhookDeps {
  readonly target: WebhookTarget
  readonly lookup: Lookup
  /** Unix milliseconds. */
  readonly now: () => number
  /** For all of a delivery. */
  readonly withinMs?: number
}

export interface Webhook {
  /**
   * Sends a message once. It never throws.
   *
   * @param attempt which one this is, from 1: of a name with several addresses, each has its turn
   */
  send(message: Message, attempt: number, signal: AbortSignal): Promise<Delivery>
}

const WITHIN_MS = 15_000
/** Of the answer nothing is needed; so much is read, so that an ordinary receiver sees an ordinary end. */
const MOST_ANSWER_BYTES = 65_536
const MOST_HEADER_BYTES = 16_384

/**
 * Sends as the Standard Webhooks specification says (version 1.0.0, symmetric signatures). The name is looked up once, and
 * the connection made to the very address that was judged, so that a name that leads elsewhere a moment later leads
 * nowhere. It follows no redirect.
 */
export function createWebhook({ target, lookup, now, withinMs = WITHIN_MS }: WebhookDeps): Webhook {
  const url = new URL(target.url)
  const hostname = url.hostname.replace(/^\[|\]$/g, '')
  const isSecure = url.protocol === 'https:'
  return { send }

  async function send(message: Message, attempt: number, signal: AbortSignal): Promise<Delivery> {
    const over = AbortSignal.any([signal, AbortSignal.timeout(withinMs)])
    try {
      const addresses = await inTime(findAddresses(), over)
      if (!addresses.every(isAllowed)) return { result: 'refused', reason: 'address_not_allowed' }
      const address = addresses[(attempt - 1) % addresses.length]
      if (address === undefined) return failed('no_address')
      return await post(address, message, over)
    } catch (error) {
      if (over.aborted) return failed(signal.aborted ? 'stopped' : 'timeout')
      // Its message may name the host; its code does not.
      return failed(errorCode(error) ?? 'error')
    }
  }

  async function findAddresses(): Promise<readonly string[]> {
    if (isIP(hostname) !== 0) return [hostname]
    return (await lookup(hostname)).map(({ address }) => address)
  }

  function isAllowed(address: string): boolean {
    const reach = reachOf(address)
    return reach === 'private' ? target.allowPrivate : reach === 'public' && isSecure
  }

  function post(address: string, { id, body }: Message, signal: AbortSignal): Promise<Delivery> {
    const { promise, resolve, reject } = Promise.withResolvers<Delivery>()
    const timestamp = Math.floor(now() / 1000)
    const options: RequestOptions & { readonly servername?: string } = {
      host: address,
      port: url.port === '' ? undefined : Number(url.port),
      path: `${url.pathname}${url.search}`,
      method: 'POST',
      headers: {
        host: url.host,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': 'Jeton',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': target.secrets.map((secret) => sign(secret, id, timestamp, body)).join(' '),
      },
      auth: url.username === '' && url.password === '' ? undefined : credentialsOf(url),
      // The certificate must be the name's, and not the address's.
      servername: isIP(hostname) === 0 ? hostname : '',
      agent: false,
      maxHeaderSize: MOST_HEADER_BYTES,
      signal,
    }
    const request = isSecure ? httpsRequest(options) : httpRequest(options)
    let delivery: Delivery | undefined
    // Whatever happens behind the status, that has come.
    request.on('error', (error) => (delivery === undefined ? reject(error) : resolve(delivery)))
    // The end of every request, and all that is told of an answer that switches to another protocol.
    request.on('close', () => resolve(delivery ?? failed('no_answer')))
    request.on('response', (answer) => {
      const judged = judge(answer.statusCode ?? 0, answer.headers['retry-after'])
      delivery = judged
      let bytes = 0
      answer.on('error', () => resolve(judged))
      answer.on('close', () => resolve(judged))
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MOST_ANSWER_BYTES) answer.destroy()
      })
    })
    request.end(body)
    return promise
  }
}

/** `v1`, a comma, and the HMAC in base64. */
export function sign(secret: Uint8Array, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}

function judge(status: number, retryAfter: string | undefined): Delivery {
  if (status >= 200 && status < 300) return { result: 'delivered' }
  const seconds = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined
  return { ...failed(`status_${status}`), retryAfterSeconds: seconds, isGone: status === 410 }
}

function failed(reason: string) {
  return { result: 'failed', reason, retryAfterSeconds: undefined, isGone: false } as const
}

function credentialsOf({ username, password }: URL): string {
  return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
}

// A lookup cannot be stopped, but nobody has to wait for it.
async function inTime<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  try {
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
