import type { FastifyReply } from 'fastify'
import type { Decision } from '../limits/limiter.ts'

/**
 * Writes where the counts stand, as structured fields: draft-ietf-httpapi-ratelimit-headers-10. `q` and `w` are the
 * quota and its window in seconds; `r` is what remains and `t` the seconds until that grows.
 */
export function writeRateLimits(reply: FastifyReply, { states }: Decision): void {
  let policies = ''
  let limits = ''
  for (const { policy, limit, remaining, resetSeconds } of states) {
    const separator = policies === '' ? '' : ', '
    policies += `${separator}"${policy}";q=${limit.count};w=${limit.windowSeconds}`
    // `toFixed`, as in a record's number: what remains of a key is another number with every token.
    limits += `${separator}"${policy}";r=${remaining.toFixed()};t=${resetSeconds}`
  }
  reply.header('RateLimit-Policy', policies).header('RateLimit', limits)
}
