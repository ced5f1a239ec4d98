import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** As much of a user agent is recorded, in characters. */
const USER_AGENT_LIMIT = 256

// Keys and tokens, or what a cut has left of them.
const SECRETS = /\b((?:sk|ak)_|eyJ)[\w.-]+/g

/** The caller's address. What a proxy says is believed only if it is one; some put a port behind it. */
export function addressOf({ ip, socket }: FastifyRequest): string {
  if (isIP(ip) !== 0) return ip
  const bare = /^\[(.+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(ip)
  const address = bare?.[1] ?? bare?.[2] ?? ''
  return isIP(address) === 0 ? (socket.remoteAddress ?? '') : address
}

/** Whether it came from a program here. A proxy on this machine speaks from loopback as well, for callers who do not. */
export function isFromThisMachine({ socket, headers }: FastifyRequest): boolean {
  const forwarded = ['forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']
  const address = socket.remoteAddress ?? ''
  const isLoopback = address === '::1' || /^(?:::ffff:)?127\./.test(address)
  return isLoopback && forwarded.every((name) => headers[name] === undefined)
}

/** The end user's, passed on by the backend for the record; whatever is no address is left out of it. */
export function readEndUserAddress(headers: IncomingHttpHeaders): string | undefined {
  const address = headers['x-end-user-ip']
  return typeof address === 'string' && isIP(address) !== 0 ? address : undefined
}

/** For the record. It may hold anything, so it is cut, and what is written like a secret is taken out. */
export function readUserAgent({ 'user-agent': text }: IncomingHttpHeaders): string | undefined {
  return text?.slice(0, USER_AGENT_LIMIT).replace(SECRETS, '$1…')
}
