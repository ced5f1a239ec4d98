import type { FastifyReply } from 'fastify'
import type { Decision } from '../limits/limiter.ts'
import { writeRateLimits } from './rate-limit-headers.ts'

/**
 * Answers with a credential: nothing on the way may keep it (RFC 6749 §5.1), and the caller learns where its counts
 * stand.
 */
export function sendToken<Body>(reply: FastifyReply, { limits }: { limits: Decision }, body: Body): Body {
  reply.header('Cache-Control', 'no-store')
  writeRateLimits(reply, limits)
  return body
}
